locals {
  # Where each function answers. In the layout `app` one answers for all that the internet may call.
  own = { for name, each in google_cloudfunctions2_function.of : name => each.service_config[0].uri }
  urls = merge(
    { for name in keys(local.table.functions) : name => lookup(local.own, name, local.own.app) },
    { operator = local.own.app },
  )
}

output "urls" {
  description = "Base addresses by function; `operator` serves all of the operators' commands."
  value       = local.urls
}

output "store_uri" {
  description = "STORE_URI of the functions, and of the operator's commands that write the trust or collect garbage."
  value       = "gs://${google_storage_bucket.store.name}"
}

output "secrets" {
  description = "The secrets' ids by setting."
  value       = { for name, each in google_secret_manager_secret.of : name => each.secret_id }
}

output "service_accounts" {
  description = "The service accounts' addresses by function."
  value       = { for name, each in google_service_account.function : name => each.email }
}
