# What Google's own monitoring tells of, since a service that is down cannot tell it. What is wrong inside a running one, its
# own alerts tell (ALERT_URLS).

locals {
  # What the log says, by the name of the metric that counts it.
  counted = {
    deployments = "jsonPayload.message=\"Successfully deployed\""
    withheld    = "jsonPayload.message=\"Nothing published: all changes withheld\""
    by_polling  = "jsonPayload.message=\"Deployed via polling fallback\""
    errors      = "severity>=ERROR"
  }
}

resource "google_logging_metric" "of" {
  for_each = local.counted

  project     = var.project
  name        = "${local.prefix}/${each.key}"
  description = "skill-sync, channel ${var.name}: lines with ${each.value}."
  filter      = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name:\"${local.prefix}-\" AND ${each.value}"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }
}

resource "google_monitoring_uptime_check_config" "health" {
  project      = var.project
  display_name = "${local.prefix}: /health"
  timeout      = "10s"
  period       = "300s"

  http_check {
    path         = "/health"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }
  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.project
      host       = trimprefix(local.urls.status, "https://")
    }
  }
}

resource "google_monitoring_alert_policy" "unhealthy" {
  project               = var.project
  display_name          = "${local.prefix}: unhealthy, or does not answer"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = var.channels

  conditions {
    display_name = "/health is not 200 from more than one place"
    condition_threshold {
      filter          = "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND resource.type=\"uptime_url\" AND metric.labels.check_id=\"${google_monitoring_uptime_check_config.health.uptime_check_id}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "300s"
      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["resource.label.host"]
      }
    }
  }
  documentation {
    mime_type = "text/markdown"
    content   = "Channel ${var.name}: ask ${local.urls.status}/health, then `python -m shared.cli doctor`. Pullers go on serving what is installed."
  }
}

resource "google_monitoring_alert_policy" "unpolled" {
  project               = var.project
  display_name          = "${local.prefix}: no poll succeeds"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.channels

  conditions {
    display_name = "no 2xx from the poll for three intervals"
    condition_absent {
      filter   = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${google_cloudfunctions2_function.of["poll"].name}\" AND metric.labels.response_code_class=\"2xx\""
      duration = "${max(600, 3 * 60 * var.config.polling_interval_min)}s"
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
  documentation {
    mime_type = "text/markdown"
    content   = "Channel ${var.name}: see the job ${google_cloud_scheduler_job.poll.name} and the log of ${google_cloudfunctions2_function.of["poll"].name}. The pointer expires 30 minutes or three intervals after the last poll; then pullers install nothing new."
  }
}

resource "google_monitoring_alert_policy" "errors" {
  project               = var.project
  display_name          = "${local.prefix}: errors in the log"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.channels

  conditions {
    display_name = "more than 5 lines of ERROR in 10 minutes"
    condition_threshold {
      filter          = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.of["errors"].name}\" AND resource.type=\"cloud_run_revision\""
      comparison      = "COMPARISON_GT"
      threshold_value = 5
      duration        = "0s"
      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
  documentation {
    mime_type = "text/markdown"
    content   = "Channel ${var.name}: `gcloud logging read 'resource.labels.service_name:\"${local.prefix}-\" AND severity>=ERROR'`."
  }
}

resource "google_monitoring_alert_policy" "refused" {
  project               = var.project
  display_name          = "${local.prefix}: many calls are refused"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.channels

  conditions {
    display_name = "more than 100 answers of 401 or 403 in 10 minutes"
    condition_threshold {
      filter          = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=starts_with(\"${local.prefix}-\") AND metric.labels.response_code=one_of(\"401\",\"403\")"
      comparison      = "COMPARISON_GT"
      threshold_value = 100
      duration        = "0s"
      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
  documentation {
    mime_type = "text/markdown"
    content   = "Channel ${var.name}: somebody guesses keys, or a rotation left somebody with an old one (`python -m shared.cli rotate status`)."
  }
}
