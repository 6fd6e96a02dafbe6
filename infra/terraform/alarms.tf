# Who is told, and the budget. What each channel tells of is in its module.

resource "google_monitoring_notification_channel" "mail" {
  for_each = var.alert_emails

  project      = var.project
  display_name = "skill-sync: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }

  depends_on = [google_project_service.of]
}

# A budget knows projects by their numbers.
data "google_project" "this" {
  count = var.billing_account == "" ? 0 : 1

  project_id = var.project
  depends_on = [google_project_service.of]
}

resource "google_billing_budget" "month" {
  count = var.billing_account == "" ? 0 : 1

  billing_account = var.billing_account
  display_name    = "skill-sync in ${var.project}"

  budget_filter {
    projects = ["projects/${data.google_project.this[0].number}"]
  }
  amount {
    specified_amount {
      units = tostring(var.budget)
    }
  }
  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }
  all_updates_rule {
    monitoring_notification_channels = [for each in google_monitoring_notification_channel.mail : each.name]
  }

  depends_on = [google_project_service.of]
}
