# The functions, each as a service account of its own.

locals {
  table     = yamldecode(file("${path.module}/functions.yaml"))
  functions = { for name in local.table.layouts[var.config.layout] : name => local.table.functions[name] }
  prefix    = "skill-sync-${var.name}"
  # Google takes 30 characters, and a channel's name may have ten.
  account = "skillsync-${var.name}"

  environment = merge(
    var.config.settings,
    {
      GOOGLE_CLOUD_PROJECT = var.project
      CHANNEL              = var.name
      STORE_URI            = "gs://${google_storage_bucket.store.name}"
      TRUST_ANCHOR         = trimspace(var.config.trust_anchor)
      GITHUB_OWNER         = var.config.github_owner
      GITHUB_REPO          = var.config.github_repo
      POLLING_INTERVAL_MIN = tostring(var.config.polling_interval_min)
      DEPLOYMENT_LOCK_TTL  = tostring(var.config.deployment_lock_ttl)
    },
    { for name, value in {
      GITHUB_BRANCH = var.config.github_branch
      GITHUB_APP_ID = var.config.github_app_id
      NEO4J_URI     = var.config.neo4j_uri
    } : name => value if value != "" },
  )
}

resource "google_service_account" "function" {
  for_each = local.functions

  project      = var.project
  account_id   = "${local.account}-${each.key}"
  display_name = "skill-sync ${var.name}: ${each.key}"
}

resource "google_cloudfunctions2_function" "of" {
  #checkov:skip=CKV_GCP_124:GitHub, Railway and people call from the internet; each function checks its callers
  for_each = local.functions

  project     = var.project
  location    = var.region
  name        = "${local.prefix}-${each.key}"
  description = "skill-sync, channel ${var.name}: the entry point ${each.key} of functions/main.py."

  build_config {
    runtime           = "python311"
    entry_point       = each.key
    service_account   = var.package.builder
    docker_repository = var.package.repository
    environment_variables = {
      # There is no main.py at the root of the package.
      GOOGLE_FUNCTION_SOURCE = "functions/main.py"
    }
    source {
      storage_source {
        bucket = var.package.bucket
        object = var.package.object
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.function[each.key].email
    timeout_seconds                  = each.value.seconds + (each.value.caller == "scheduler" ? var.config.deployment_lock_ttl : 0)
    available_memory                 = each.value.memory
    available_cpu                    = "1"
    max_instance_count               = each.value.instances
    min_instance_count               = lookup(var.config.min_instances, each.key, 0)
    max_instance_request_concurrency = each.value.concurrency
    ingress_settings                 = "ALLOW_ALL"
    all_traffic_on_latest_revision   = true

    environment_variables = merge(
      local.environment,
      {
        # As many threads as calls that Google lets in, or calls wait inside.
        THREADS = tostring(each.value.concurrency)
        # Who may poll is Cloud IAM's to say where nobody but the scheduler reaches the function.
        POLL_AUTH = each.value.caller == "scheduler" ? "iam" : "api_key"
      },
      { for name, value in {
        DEFERRED_QUEUE    = "projects/${var.project}/locations/${var.region}/queues/${local.queue}"
        DEFERRED_POLL_URL = "${local.poll_url}/api/poll"
        DEFERRED_CALLER   = google_service_account.scheduler.email
      } : name => value if contains(local.defers, each.key) },
      { for secret in local.mounted[each.key] : "${secret}_FILE" => "${local.mounts[secret].folder}/value" },
    )

    dynamic "secret_volumes" {
      for_each = local.mounted[each.key]
      content {
        mount_path = local.mounts[secret_volumes.value].folder
        project_id = var.project
        secret     = google_secret_manager_secret.of[secret_volumes.value].secret_id
        versions {
          # Read again while it runs: a rotated secret needs no new revision.
          version = "latest"
          path    = "value"
        }
      }
    }
  }

  # A revision that may not read its secrets does not start.
  depends_on = [google_secret_manager_secret_iam_member.readers]
}

# Through the service below: the functions' own resource for this answers 400. GitHub cannot sign in to Google Cloud, and
# neither can a gateway on Railway: these functions check signatures and keys themselves.
resource "google_cloud_run_v2_service_iam_member" "internet" {
  for_each = { for pair in setproduct([for name, each in local.functions : name if each.caller == "internet"], var.config.callers) : join(" ", pair) => pair }

  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.of[each.value[0]].name
  role     = "roles/run.invoker"
  member   = each.value[1]
}
