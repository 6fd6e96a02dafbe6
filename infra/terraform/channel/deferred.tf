# With `deferred_queue`: the queue by which a webhook that is not finished in time asks for the poll at once.

locals {
  defers = toset([for name, each in local.functions : name if var.config.deferred_queue && try(each.defers, false)])
  queue  = "${local.prefix}-deferred"
  # The one of the poll's two addresses that is known before it is made: the functions are made together, and none can name
  # what only Google's answer tells of another (https://cloud.google.com/run/docs/triggering/https-request).
  poll_url = "https://${local.prefix}-poll-${google_storage_bucket.store.project_number}.${var.region}.run.app"
}

resource "google_cloud_tasks_queue" "deferred" {
  count = var.config.deferred_queue ? 1 : 0

  project  = var.project
  location = var.region
  name     = local.queue

  rate_limits {
    # Six polls a minute, one after the other: each finishes whatever was deferred before it.
    max_concurrent_dispatches = 1
    max_dispatches_per_second = 0.1
  }
  retry_config {
    # What fails three times is left to the scheduler's next poll.
    max_attempts  = 3
    min_backoff   = "10s"
    max_backoff   = "60s"
    max_doublings = 2
  }
}

resource "google_cloud_tasks_queue_iam_member" "deferring" {
  for_each = local.defers

  project  = var.project
  location = var.region
  name     = google_cloud_tasks_queue.deferred[0].name
  role     = "roles/cloudtasks.enqueuer"
  member   = google_service_account.function[each.value].member
}

# Only who may act as an account may have a task call as it. This one may call the poll, and nothing else.
resource "google_service_account_iam_member" "deferring" {
  for_each = local.defers

  service_account_id = google_service_account.scheduler.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.function[each.value].member
}
