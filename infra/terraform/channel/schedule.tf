# The poll: what lost webhooks left behind, and what keeps the pointer fresh.

resource "google_service_account" "scheduler" {
  project      = var.project
  account_id   = "${local.account}-scheduler"
  display_name = "skill-sync ${var.name}: calls the poll"
}

resource "google_cloud_run_v2_service_iam_member" "scheduler" {
  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.of["poll"].name
  role     = "roles/run.invoker"
  member   = google_service_account.scheduler.member
}

resource "google_cloud_scheduler_job" "poll" {
  project     = var.project
  region      = var.region
  name        = "${local.prefix}-poll"
  description = "skill-sync, channel ${var.name}: reads the branch head again."
  schedule    = "*/${var.config.polling_interval_min} * * * *"
  time_zone   = "Etc/UTC"
  # A poll that is still at work must not be called lost and called again.
  attempt_deadline = "${var.config.deployment_lock_ttl + local.functions.poll.seconds}s"

  retry_config {
    # The next poll is the retry.
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = "${local.urls.poll}/api/poll"

    oidc_token {
      service_account_email = google_service_account.scheduler.email
      audience              = local.urls.poll
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.scheduler]
}
