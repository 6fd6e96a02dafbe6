# The bucket, and who may do what in it.

resource "google_storage_bucket" "store" {
  #checkov:skip=CKV_GCP_62:Data access is audited by Cloud Audit Logs where an organisation wants it; an access log would repeat each puller's look every 2 s
  project                     = var.project
  name                        = "${var.project}-${local.prefix}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }
  soft_delete_policy {
    retention_duration_seconds = 7 * 24 * 3600
  }

  # Only versions that were replaced or deleted ever expire. A rule by age would delete the archive of a skill that nobody
  # touched for so long: what is no longer needed is found by reference (`gc`).
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
  }
  # These are replaced every minute or so.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions = 100
      matches_prefix     = ["alerts.json", "current.json", "pullers/", "summary.json"]
      with_state         = "ARCHIVED"
    }
  }

  # Terraform must never be what empties it.
  lifecycle {
    prevent_destroy = true
  }
}

resource "google_storage_bucket_iam_member" "readers" {
  for_each = toset([for name, each in local.functions : name if each.reads])

  bucket = google_storage_bucket.store.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.function[each.value].member
}

# Replacing an object takes the right to delete it, so this is the smallest role of Google's for what is written by
# compare-and-swap. `trust/` is in no function's list.
resource "google_storage_bucket_iam_member" "writers" {
  for_each = { for name, each in local.functions : name => each.writes if length(each.writes) > 0 }

  bucket = google_storage_bucket.store.name
  role   = "roles/storage.objectUser"
  member = google_service_account.function[each.key].member

  condition {
    title      = "what ${each.key} writes"
    expression = join(" || ", [for part in each.value : format(endswith(part, "/") ? local.below : local.exactly, "${local.objects}${part}")])
  }
}

resource "google_storage_bucket_iam_member" "operators_read" {
  for_each = var.config.operators

  bucket = google_storage_bucket.store.name
  role   = "roles/storage.objectViewer"
  member = each.value
}

# `operator trust push` writes the trust, `gc --delete` removes what nobody refers to.
resource "google_storage_bucket_iam_member" "operators_write" {
  for_each = var.config.operators

  bucket = google_storage_bucket.store.name
  role   = "roles/storage.objectUser"
  member = each.value

  condition {
    title      = "trust and garbage"
    expression = join(" || ", [for part in ["trust/", "objects/"] : format(local.below, "${local.objects}${part}")])
  }
}

locals {
  objects = "projects/_/buckets/${google_storage_bucket.store.name}/objects/"
  below   = "resource.name.startsWith(\"%s\")"
  exactly = "resource.name == \"%s\""
}
