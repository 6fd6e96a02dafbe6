# The secrets' places. Their values never pass through Terraform, so that no state file holds one:
# `gcloud secrets versions add` writes them, and a rotation adds a version with two lines, newest first.

locals {
  secrets = toset(concat(local.table.secrets.always, tolist(var.config.optional_secrets)))
  mounts = { for name in local.secrets : name => {
    folder = "/secrets/${replace(lower(name), "_", "-")}"
    id     = "${local.prefix}-${replace(lower(name), "_", "-")}"
  } }
  # Each function's own, and nothing that it does not use.
  mounted = { for name, each in local.functions : name => [for secret in each.secrets : secret if contains(local.secrets, secret)] }
  access  = merge([for name, secrets in local.mounted : { for secret in secrets : "${name}/${secret}" => { function = name, secret = secret } }]...)
}

resource "google_secret_manager_secret" "of" {
  for_each = local.secrets

  project   = var.project
  secret_id = local.mounts[each.value].id
  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

resource "google_secret_manager_secret_iam_member" "readers" {
  for_each = local.access

  project   = var.project
  secret_id = google_secret_manager_secret.of[each.value.secret].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.value.function].member
}
