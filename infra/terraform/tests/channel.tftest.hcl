# One channel by itself: as whom each function runs, what it may read and write, what is mounted, who may call it.

mock_provider "google" {
  override_during = plan

  mock_resource "google_service_account" {
    defaults = {
      email  = "someone@octo-skills.iam.gserviceaccount.com"
      member = "serviceAccount:someone@octo-skills.iam.gserviceaccount.com"
    }
  }
  mock_resource "google_storage_bucket" {
    defaults = {
      project_number = 123456789012
    }
  }
  mock_resource "google_cloudfunctions2_function" {
    defaults = {
      service_config = { uri = "https://other.example.com" }
    }
  }
  override_resource {
    target = google_service_account.scheduler
    values = {
      email  = "scheduler@octo-skills.iam.gserviceaccount.com"
      name   = "projects/octo-skills/serviceAccounts/scheduler@octo-skills.iam.gserviceaccount.com"
      member = "serviceAccount:scheduler@octo-skills.iam.gserviceaccount.com"
    }
  }
  override_resource {
    target = google_cloudfunctions2_function.of["poll"]
    values = {
      service_config = { uri = "https://poll.example.com" }
    }
  }
  override_resource {
    target = google_cloudfunctions2_function.of["app"]
    values = {
      service_config = { uri = "https://app.example.com" }
    }
  }
}

variables {
  name    = "staging"
  project = "octo-skills"
  region  = "us-central1"
  package = {
    bucket     = "source"
    object     = "functions-1.zip"
    repository = "projects/octo-skills/locations/us-central1/repositories/skill-sync"
    builder    = "projects/octo-skills/serviceAccounts/build@octo-skills.iam.gserviceaccount.com"
  }
  channels = ["projects/octo-skills/notificationChannels/1"]
  config = {
    trust_anchor         = "{}"
    github_owner         = "octo"
    github_repo          = "skills"
    github_branch        = ""
    github_app_id        = ""
    optional_secrets     = ["ALERT_URLS"]
    neo4j_uri            = ""
    layout               = "each"
    polling_interval_min = 10
    deployment_lock_ttl  = 200
    deferred_queue       = false
    settings             = { VERSION_POLICY = "declared" }
    min_instances        = { release = 1 }
    operators            = ["group:ops@example.com"]
    callers              = ["allUsers"]
  }
}

run "each_function_by_itself" {
  command = plan
  module {
    source = "./channel"
  }

  assert {
    condition     = keys(google_cloudfunctions2_function.of) == ["app", "dashboard", "poll", "release", "status", "sync", "validate", "webhook"]
    error_message = "every entry point is deployed"
  }
  assert {
    condition     = alltrue([for name, each in google_cloudfunctions2_function.of : each.build_config[0].entry_point == name && each.build_config[0].environment_variables.GOOGLE_FUNCTION_SOURCE == "functions/main.py"])
    error_message = "each is built from functions/main.py with its own entry point"
  }
  assert {
    condition     = length(toset([for each in google_service_account.function : each.account_id])) == 8 && alltrue([for each in google_service_account.function : length(each.account_id) <= 30])
    error_message = "each function has a service account of its own, with a name that Google takes"
  }
  assert {
    condition     = alltrue([for each in google_cloudfunctions2_function.of : each.service_config[0].environment_variables.THREADS == tostring(each.service_config[0].max_instance_request_concurrency)])
    error_message = "threads match the calls at once"
  }
  assert {
    condition     = google_cloudfunctions2_function.of["poll"].service_config[0].timeout_seconds == 260 && google_cloud_scheduler_job.poll.attempt_deadline == "260s"
    error_message = "the poll may take its DEPLOYMENT_LOCK_TTL, and the scheduler waits for it"
  }
  assert {
    condition     = google_cloudfunctions2_function.of["release"].service_config[0].min_instance_count == 1 && google_cloudfunctions2_function.of["sync"].service_config[0].min_instance_count == 0
    error_message = "warm instances are those that were asked for"
  }
  assert {
    condition     = google_cloudfunctions2_function.of["sync"].service_config[0].environment_variables.VERSION_POLICY == "declared" && google_cloudfunctions2_function.of["sync"].service_config[0].environment_variables.CHANNEL == "staging" && !contains(keys(google_cloudfunctions2_function.of["sync"].service_config[0].environment_variables), "NEO4J_URI")
    error_message = "settings reach the functions, and what is not given is not set"
  }
}

run "longest_name" {
  command = plan
  module {
    source = "./channel"
  }
  variables {
    name = "production"
  }

  assert {
    condition     = alltrue([for each in concat(values(google_service_account.function), [google_service_account.scheduler]) : length(each.account_id) <= 30])
    error_message = "Google takes names of at most 30 characters"
  }
}

run "secrets" {
  command = plan
  module {
    source = "./channel"
  }

  assert {
    condition     = toset([for each in google_cloudfunctions2_function.of["release"].service_config[0].secret_volumes : each.secret]) == toset(["skill-sync-staging-puller-key-hashes", "skill-sync-staging-alert-urls"])
    error_message = "a function mounts its own secrets and no other one"
  }
  assert {
    condition     = alltrue([for each in google_cloudfunctions2_function.of : alltrue([for volume in each.service_config[0].secret_volumes : each.service_config[0].environment_variables["${upper(replace(trimprefix(volume.secret, "skill-sync-staging-"), "-", "_"))}_FILE"] == "${volume.mount_path}/${volume.versions[0].path}" && volume.versions[0].version == "latest"])])
    error_message = "each mounted secret is named by its <NAME>_FILE, and is the newest version"
  }
  assert {
    condition     = alltrue([for each in google_cloudfunctions2_function.of : alltrue([for name, _ in each.service_config[0].environment_variables : !contains(concat(local.table.secrets.always, local.table.secrets.optional), name)])])
    error_message = "no secret stands in the environment itself"
  }
  assert {
    condition     = !contains(keys(google_secret_manager_secret_iam_member.readers), "release/SIGNING_KEY") && contains(keys(google_secret_manager_secret_iam_member.readers), "webhook/SIGNING_KEY")
    error_message = "only who signs may read the signing key"
  }
}

run "store" {
  command = plan
  module {
    source = "./channel"
  }

  assert {
    condition     = google_storage_bucket.store.uniform_bucket_level_access && google_storage_bucket.store.public_access_prevention == "enforced" && google_storage_bucket.store.versioning[0].enabled && google_storage_bucket.store.soft_delete_policy[0].retention_duration_seconds >= 604800
    error_message = "the bucket has uniform access, no public access, versions and soft deletion"
  }
  assert {
    condition     = alltrue([for rule in google_storage_bucket.store.lifecycle_rule : alltrue([for condition in rule.condition : condition.age == null && condition.created_before == null && condition.with_state == "ARCHIVED"])])
    error_message = "no rule may delete a live object"
  }
  assert {
    condition     = alltrue([for each in google_storage_bucket_iam_member.writers : !strcontains(each.condition[0].expression, "trust/")])
    error_message = "no function may write trust/"
  }
  assert {
    condition     = [for each in google_storage_bucket_iam_member.operators_write : each.condition[0].expression] == ["resource.name.startsWith(\"projects/_/buckets/octo-skills-skill-sync-staging/objects/trust/\") || resource.name.startsWith(\"projects/_/buckets/octo-skills-skill-sync-staging/objects/objects/\")"]
    error_message = "operators write trust/, and collect garbage"
  }
  assert {
    condition     = google_storage_bucket_iam_member.writers["release"].condition[0].expression == "resource.name == \"projects/_/buckets/octo-skills-skill-sync-staging/objects/alerts.json\" || resource.name.startsWith(\"projects/_/buckets/octo-skills-skill-sync-staging/objects/events/\") || resource.name.startsWith(\"projects/_/buckets/octo-skills-skill-sync-staging/objects/pullers/\")"
    error_message = "the release function writes reports, events and the book of alerts"
  }
  assert {
    condition     = !contains(keys(google_storage_bucket_iam_member.writers), "status") && !contains(keys(google_storage_bucket_iam_member.readers), "validate")
    error_message = "status writes nothing, validate reads nothing"
  }
}

run "callers" {
  command = plan
  module {
    source = "./channel"
  }

  assert {
    condition     = toset([for each in google_cloud_run_v2_service_iam_member.internet : each.name]) == toset([for name in ["app", "dashboard", "release", "status", "sync", "validate", "webhook"] : "skill-sync-staging-${name}"])
    error_message = "the internet reaches every function but the poll"
  }
  assert {
    condition     = google_cloud_run_v2_service_iam_member.scheduler.name == "skill-sync-staging-poll" && google_cloud_run_v2_service_iam_member.scheduler.member == "serviceAccount:scheduler@octo-skills.iam.gserviceaccount.com"
    error_message = "only the scheduler reaches the poll"
  }
  assert {
    condition     = [for name, each in google_cloudfunctions2_function.of : name if each.service_config[0].environment_variables.POLL_AUTH == "iam"] == ["poll"]
    error_message = "where the internet calls, a poll needs the API key"
  }
  assert {
    condition     = google_cloud_scheduler_job.poll.schedule == "*/10 * * * *" && google_cloud_scheduler_job.poll.http_target[0].uri == "https://poll.example.com/api/poll" && google_cloud_scheduler_job.poll.http_target[0].oidc_token[0].audience == "https://poll.example.com" && google_cloud_scheduler_job.poll.http_target[0].oidc_token[0].service_account_email == "scheduler@octo-skills.iam.gserviceaccount.com"
    error_message = "the scheduler polls every interval, as itself"
  }
}

run "app_alone" {
  command = plan
  module {
    source = "./channel"
  }
  variables {
    config = {
      trust_anchor         = "{}"
      github_owner         = "octo"
      github_repo          = "skills"
      github_branch        = ""
      github_app_id        = ""
      optional_secrets     = []
      neo4j_uri            = ""
      layout               = "app"
      polling_interval_min = 5
      deployment_lock_ttl  = 300
      deferred_queue       = true
      settings             = {}
      min_instances        = {}
      operators            = []
      callers              = ["allUsers"]
    }
  }

  assert {
    condition     = keys(google_cloudfunctions2_function.of) == ["app", "poll"]
    error_message = "one function for all callers, and the scheduler's own"
  }
  assert {
    condition     = toset([for name, url in output.urls : url if name != "poll"]) == toset(["https://app.example.com"]) && output.urls.poll == "https://poll.example.com"
    error_message = "app answers for all but the poll"
  }
  assert {
    condition     = keys(google_cloud_tasks_queue_iam_member.deferring) == ["app"] && keys(google_service_account_iam_member.deferring) == ["app"]
    error_message = "in this layout app serves the webhook, so app alone may ask for a poll"
  }
}

run "no_queue" {
  command = plan
  module {
    source = "./channel"
  }

  assert {
    condition     = length(google_cloud_tasks_queue.deferred) == 0 && length(google_cloud_tasks_queue_iam_member.deferring) == 0 && length(google_service_account_iam_member.deferring) == 0
    error_message = "nobody gets a queue, or a right to it, who did not ask for one"
  }
  assert {
    condition     = alltrue([for each in google_cloudfunctions2_function.of : alltrue([for name, _ in each.service_config[0].environment_variables : !startswith(name, "DEFERRED_")])])
    error_message = "without a queue no function is told of one"
  }
}

run "queue" {
  command = plan
  module {
    source = "./channel"
  }
  variables {
    config = {
      trust_anchor         = "{}"
      github_owner         = "octo"
      github_repo          = "skills"
      github_branch        = ""
      github_app_id        = ""
      optional_secrets     = []
      neo4j_uri            = ""
      layout               = "each"
      polling_interval_min = 5
      deployment_lock_ttl  = 300
      deferred_queue       = true
      settings             = {}
      min_instances        = {}
      operators            = []
      callers              = ["allUsers"]
    }
  }

  assert {
    condition     = google_cloud_tasks_queue.deferred[0].rate_limits[0].max_concurrent_dispatches == 1 && google_cloud_tasks_queue.deferred[0].rate_limits[0].max_dispatches_per_second <= 0.2
    error_message = "one poll at a time, and a few a minute"
  }
  assert {
    condition     = google_cloud_tasks_queue.deferred[0].retry_config[0].max_attempts > 0 && google_cloud_tasks_queue.deferred[0].retry_config[0].max_attempts <= 5 && google_cloud_tasks_queue.deferred[0].retry_config[0].min_backoff == "10s"
    error_message = "a poll that fails is tried again after a while, and not for ever"
  }
  assert {
    condition     = keys(google_cloud_tasks_queue_iam_member.deferring) == ["app", "webhook"] && alltrue([for each in google_cloud_tasks_queue_iam_member.deferring : each.role == "roles/cloudtasks.enqueuer" && each.name == "skill-sync-staging-deferred"])
    error_message = "who serves the webhook may add tasks to this queue, and nobody else"
  }
  assert {
    condition     = keys(google_service_account_iam_member.deferring) == ["app", "webhook"] && alltrue([for each in google_service_account_iam_member.deferring : each.role == "roles/iam.serviceAccountUser" && each.service_account_id == google_service_account.scheduler.name])
    error_message = "they may have a task call as the scheduler, and as nobody else"
  }
  assert {
    condition     = [for name, each in google_cloudfunctions2_function.of : name if contains(keys(each.service_config[0].environment_variables), "DEFERRED_QUEUE")] == ["app", "webhook"]
    error_message = "only who serves the webhook is told of the queue"
  }
  assert {
    condition     = { for name, value in google_cloudfunctions2_function.of["webhook"].service_config[0].environment_variables : name => value if startswith(name, "DEFERRED_") } == { DEFERRED_QUEUE = "projects/octo-skills/locations/us-central1/queues/skill-sync-staging-deferred", DEFERRED_POLL_URL = "https://skill-sync-staging-poll-123456789012.us-central1.run.app/api/poll", DEFERRED_CALLER = "scheduler@octo-skills.iam.gserviceaccount.com" }
    error_message = "they are told which queue, which poll, and as whom"
  }
  assert {
    condition     = google_cloud_run_v2_service_iam_member.scheduler.name == "skill-sync-staging-poll" && google_cloud_run_v2_service_iam_member.scheduler.member == google_service_account.scheduler.member
    error_message = "that caller may call the poll"
  }
}
