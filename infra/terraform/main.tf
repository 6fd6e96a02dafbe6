# What all channels share: the services, the source package, and who builds it. Each channel is a module of its own.

locals {
  services = toset(concat([
    "artifactregistry", "cloudbuild", "cloudfunctions", "cloudresourcemanager", "cloudscheduler", "iam", "logging",
    "monitoring", "run", "secretmanager", "storage",
    ],
    var.billing_account == "" ? [] : ["billingbudgets"],
    anytrue([for each in var.channels : each.deferred_queue]) ? ["cloudtasks"] : [],
  ))
}

resource "google_project_service" "of" {
  for_each = local.services

  project = var.project
  service = "${each.value}.googleapis.com"
  # Others in the project may use them.
  disable_on_destroy = false
}

resource "google_storage_bucket" "source" {
  #checkov:skip=CKV_GCP_62:Nobody reads it but the build; its access log would cost more than it tells
  #checkov:skip=CKV_GCP_78:Objects are named by their digest: there is never another version of one
  project                     = var.project
  name                        = "${var.project}-skill-sync-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  depends_on = [google_project_service.of]
}

resource "google_storage_bucket_object" "package" {
  bucket = google_storage_bucket.source.name
  # Without a new name nothing is built anew.
  name         = "functions-${filesha256(var.package)}.zip"
  source       = var.package
  content_type = "application/zip"
}

resource "google_artifact_registry_repository" "images" {
  #checkov:skip=CKV_GCP_84:The images hold no secret and are made again from the package; Google's own key is enough
  project       = var.project
  location      = var.region
  repository_id = "skill-sync"
  description   = "Images of skill-sync's functions, made by Cloud Build."
  format        = "DOCKER"

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 3
    }
  }
  cleanup_policies {
    id     = "drop-old"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.of]
}

# The account that the build has by default could write every bucket of the project, `trust/` among them.
resource "google_service_account" "build" {
  project      = var.project
  account_id   = "skillsync-build"
  display_name = "skill-sync: builds the functions"

  depends_on = [google_project_service.of]
}

resource "google_project_iam_member" "build_log" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = google_service_account.build.member
}

# The service copies the package to a bucket of its own, which exists from the first deployment on.
resource "google_project_iam_member" "build_source" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = google_service_account.build.member

  condition {
    title      = "copies of the source"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-\")"
  }
}

resource "google_storage_bucket_iam_member" "build_package" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}

resource "google_artifact_registry_repository_iam_member" "build_images" {
  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

module "channel" {
  source   = "./channel"
  for_each = var.channels

  name     = each.key
  config   = each.value
  project  = var.project
  region   = var.region
  channels = [for each in google_monitoring_notification_channel.mail : each.name]
  package = {
    bucket     = google_storage_bucket.source.name
    object     = google_storage_bucket_object.package.name
    repository = google_artifact_registry_repository.images.id
    builder    = google_service_account.build.id
  }

  # A build without its rights fails, and names the wrong thing as the cause.
  depends_on = [
    google_project_service.of,
    google_project_iam_member.build_log,
    google_project_iam_member.build_source,
    google_storage_bucket_iam_member.build_package,
    google_artifact_registry_repository_iam_member.build_images,
  ]
}
