output "github" {
  description = "What to enter in the repository's webhook settings, by channel."
  value = { for name, each in module.channel : name => {
    payload_url  = "${each.urls.webhook}/webhook/github"
    content_type = "application/json"
    secret       = "the newest line of the secret ${each.secrets["GITHUB_WEBHOOK_SECRET"]}"
    events       = "Just the push event"
  } }
}

output "railway" {
  description = "What to set for the puller on the gateway's service, by channel; PULLER_ID and PULLER_KEY come from `keys new PULLER_KEY`."
  value = { for name, each in module.channel : name => {
    RELEASE_URL  = each.urls.release
    CHANNEL      = name
    TRUST_ANCHOR = trimspace(var.channels[name].trust_anchor)
  } }
}

output "operator" {
  description = "What the operators' commands need, by channel."
  value = { for name, each in module.channel : name => {
    SKILL_SYNC_URL = each.urls.operator
    STORE_URI      = each.store_uri
    health         = "${each.urls.status}/health"
  } }
}

output "secrets" {
  description = "The secrets that wait for a value, by channel and setting: `gcloud secrets versions add NAME --data-file=FILE`."
  value       = { for name, each in module.channel : name => each.secrets }
}

output "service_accounts" {
  description = "As whom each function runs, by channel."
  value       = { for name, each in module.channel : name => each.service_accounts }
}
