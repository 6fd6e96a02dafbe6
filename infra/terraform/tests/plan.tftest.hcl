# What would be made, with a provider that makes up what Google would fill in.

mock_provider "google" {
  override_during = plan

  mock_resource "google_service_account" {
    defaults = {
      email  = "someone@project.iam.gserviceaccount.com"
      member = "serviceAccount:someone@project.iam.gserviceaccount.com"
    }
  }
  mock_resource "google_cloudfunctions2_function" {
    defaults = {
      service_config = { uri = "https://function.example.com" }
    }
  }
}

variables {
  project      = "octo-skills"
  package      = "tests/package.txt"
  alert_emails = ["ada@example.com"]
  channels = {
    prod = {
      github_owner     = "octo"
      github_repo      = "skills"
      github_branch    = "main"
      neo4j_uri        = "neo4j+s://abc.databases.neo4j.io"
      optional_secrets = ["GITHUB_TOKEN", "NEO4J_PASSWORD"]
      operators        = ["user:ada@example.com"]
      min_instances    = { release = 1 }
      settings         = { VERSION_POLICY = "declared" }
      # {"channel": "prod", "ref": "refs/heads/main", "repo": "octo/skills", "version": 1}
      trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogInJlZnMvaGVhZHMvbWFpbiIsICJyZXBvIjogIm9jdG8vc2tpbGxzIiwgInZlcnNpb24iOiAxfQ==\"}"
    }
  }
}

run "prod_alone" {
  command = plan

  assert {
    condition     = google_storage_bucket_object.package.name == "functions-${filesha256("tests/package.txt")}.zip"
    error_message = "the package's digest is not in its object's name"
  }
  assert {
    condition     = length(google_monitoring_notification_channel.mail) == 1 && length(google_billing_budget.month) == 0
    error_message = "one mail address, and no budget without a billing account"
  }
  assert {
    condition     = output.operator.prod.STORE_URI == "gs://octo-skills-skill-sync-prod"
    error_message = "the operators' STORE_URI is the channel's bucket"
  }
  assert {
    condition     = keys(output.secrets.prod) == ["GITHUB_TOKEN", "GITHUB_WEBHOOK_SECRET", "MANUAL_SYNC_API_KEY", "NEO4J_PASSWORD", "PULLER_KEY_HASHES", "SIGNING_KEY"]
    error_message = "the secrets are those that always exist and those that were asked for"
  }
  assert {
    condition     = output.github.prod.payload_url == "https://function.example.com/webhook/github"
    error_message = "the webhook's address leads to its route"
  }
}

run "services" {
  command = plan

  assert {
    condition     = !contains(keys(google_project_service.of), "cloudtasks")
    error_message = "a service that nobody uses is not switched on"
  }
}

run "services_of_a_queue" {
  command = plan
  variables {
    channels = { prod = merge(var.channels.prod, { deferred_queue = true }) }
  }

  assert {
    condition     = contains(keys(google_project_service.of), "cloudtasks")
    error_message = "a queue needs its service"
  }
}

run "budget" {
  command = plan
  variables {
    billing_account = "01AB23-45CD67-89EF01"
    budget          = 25
  }

  assert {
    condition     = google_billing_budget.month[0].amount[0].specified_amount[0].units == "25" && length(google_billing_budget.month[0].threshold_rules) == 3
    error_message = "the budget has its amount and three thresholds"
  }
}
