variable "project" {
  description = "Id of the Google Cloud project that everything is put into."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project: expected a project's id (6 to 30 of a-z, 0-9 and hyphens), not its name or number."
  }
}

variable "region" {
  description = "Region of the functions, the scheduler and the buckets. europe-west1 and us-central1 are in the cheaper price tier; the free storage is in us-central1, us-east1 and us-west1."
  type        = string
  default     = "us-central1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region: expected a region such as us-central1, not a zone and not a multi-region."
  }
}

variable "package" {
  description = "The zip that `make package` wrote. Its SHA-256 is in the uploaded object's name, so that another content is deployed, and the same content is not."
  type        = string
  default     = "../../dist/skill-sync-functions.zip"

  validation {
    condition     = fileexists(var.package)
    error_message = "package: there is no such file; write it with `make package` in the project's folder."
  }
}

variable "channels" {
  description = <<-TEXT
    The lines of deployments, by name: `prod`, and if wanted `staging` beside it. Each has its own bucket, secrets, service
    accounts, functions and alerts, and shares nothing with another one but the source package. For each:
    `trust_anchor`: what `python -m shared.cli operator init` printed, one line of JSON.
    `github_owner`, `github_repo`, `github_branch`: what it follows; no branch is the repository's default branch.
    `github_app_id`: of a GitHub App that takes GITHUB_TOKEN's place; needs GITHUB_APP_KEY among `optional_secrets`.
    `optional_secrets`: which of GITHUB_TOKEN, GITHUB_APP_KEY, ALERT_URLS, NUDGE_URLS, NEO4J_USER and NEO4J_PASSWORD are kept in Secret Manager.
    `neo4j_uri`: the audit graph, a TLS address that the internet reaches; needs NEO4J_PASSWORD.
    `layout`: `each` deploys every function by itself, and `app` beside them as the operators' one address; `app` alone saves
    cold starts, and keeps only the poll apart, since only the scheduler may call that one.
    `polling_interval_min`, `deployment_lock_ttl`: the settings of those names.
    `deferred_queue`: whether a webhook that is not finished in time asks for the poll at once, by a queue of Cloud Tasks.
    `settings`: further settings of the functions, by their environment names.
    `min_instances`: instances kept warm, by function, against cold starts; they cost money while idle.
    `operators`: who may write `trust/` and collect garbage, such as `user:ada@example.com`.
    `callers`: who may call the functions that check their callers themselves; only an organisation that forbids `allUsers` changes it.
  TEXT
  type = map(object({
    trust_anchor         = string
    github_owner         = string
    github_repo          = string
    github_branch        = optional(string, "")
    github_app_id        = optional(string, "")
    optional_secrets     = optional(set(string), [])
    neo4j_uri            = optional(string, "")
    layout               = optional(string, "each")
    polling_interval_min = optional(number, 5)
    deployment_lock_ttl  = optional(number, 300)
    deferred_queue       = optional(bool, false)
    settings             = optional(map(string), {})
    min_instances        = optional(map(number), {})
    operators            = optional(set(string), [])
    callers              = optional(set(string), ["allUsers"])
  }))

  validation {
    condition     = length(var.channels) > 0
    error_message = "channels: expected at least one, such as prod."
  }
  validation {
    condition     = alltrue([for name, _ in var.channels : can(regex("^[a-z][a-z0-9-]{0,8}[a-z0-9]$", name))])
    error_message = "channels: a name is 2 to 10 of a-z, 0-9 and hyphens, from a letter on (service accounts are named by it)."
  }
  validation {
    condition     = alltrue([for pair in setproduct(keys(var.channels), keys(var.channels)) : !startswith(pair[0], "${pair[1]}-")]) && !contains(keys(var.channels), "source")
    error_message = "channels: no name may go on another one's with a hyphen, or be source; what they name could not be told apart."
  }
  validation {
    condition = alltrue([for name, each in var.channels : try(
      jsondecode(base64decode(jsondecode(each.trust_anchor).payload)).version == 1, false
    )])
    error_message = "channels: trust_anchor is one line of JSON, the first version of the trust, as `operator init` prints it; wrong in ${join(", ", [for name, each in var.channels : name if !try(jsondecode(base64decode(jsondecode(each.trust_anchor).payload)).version == 1, false)])}."
  }
  validation {
    # What cannot be read is the check above's business.
    condition = alltrue([for name, each in var.channels : try(
      jsondecode(base64decode(jsondecode(each.trust_anchor).payload)).channel == name
      && jsondecode(base64decode(jsondecode(each.trust_anchor).payload)).repo == "${each.github_owner}/${each.github_repo}"
      && jsondecode(base64decode(jsondecode(each.trust_anchor).payload)).ref == (each.github_branch == "" ? "HEAD" : "refs/heads/${each.github_branch}"),
      true
    )])
    error_message = "channels: trust_anchor names another channel, repository or branch than this configuration; the functions would refuse to start (TRUST_MISMATCH). Run `operator init` with --channel, --repo and --ref as they stand here."
  }
  validation {
    condition     = alltrue([for each in var.channels : can(regex("^[A-Za-z0-9-]{1,39}$", each.github_owner)) && can(regex("^[A-Za-z0-9._-]{1,100}$", each.github_repo))])
    error_message = "channels: github_owner and github_repo are the two parts of owner/name, without an address."
  }
  validation {
    condition     = alltrue([for each in var.channels : !startswith(each.github_branch, "refs/")])
    error_message = "channels: github_branch is a branch's short name, such as main, without refs/heads/."
  }
  validation {
    condition     = alltrue([for each in var.channels : each.neo4j_uri == "" || can(regex("^(neo4j|bolt)\\+s(sc)?://[^@/]+/?$", each.neo4j_uri))])
    error_message = "channels: neo4j_uri is neo4j+s://HOST or bolt+s://HOST (or +ssc), without user and password: the audit graph is reached over the internet, so only with TLS."
  }
  validation {
    condition     = alltrue([for each in var.channels : !can(regex("\\.railway\\.internal([:/]|$)", lower(each.neo4j_uri)))])
    error_message = "channels: neo4j_uri names a *.railway.internal host, which answers inside Railway only; give the database's public TLS address (Neo4j Aura, or Railway's TCP proxy)."
  }
  validation {
    condition     = alltrue([for each in var.channels : (each.neo4j_uri == "") == !contains(each.optional_secrets, "NEO4J_PASSWORD")])
    error_message = "channels: neo4j_uri and the secret NEO4J_PASSWORD go together: give both or neither."
  }
  validation {
    condition     = alltrue([for each in var.channels : each.neo4j_uri != "" || !contains(each.optional_secrets, "NEO4J_USER")])
    error_message = "channels: the secret NEO4J_USER means nothing without neo4j_uri."
  }
  validation {
    condition     = alltrue([for each in var.channels : (each.github_app_id == "") == !contains(each.optional_secrets, "GITHUB_APP_KEY")])
    error_message = "channels: github_app_id and the secret GITHUB_APP_KEY go together: give both or neither."
  }
  validation {
    condition     = alltrue([for each in var.channels : !(contains(each.optional_secrets, "GITHUB_TOKEN") && each.github_app_id != "")])
    error_message = "channels: GITHUB_TOKEN and a GitHub App contradict each other: an App's tokens take the token's place, so keep one of the two."
  }
  validation {
    condition     = alltrue([for each in var.channels : alltrue([for name in each.optional_secrets : contains(yamldecode(file("${path.module}/channel/functions.yaml")).secrets.optional, name)])])
    error_message = "channels: optional_secrets may hold ${join(", ", yamldecode(file("${path.module}/channel/functions.yaml")).secrets.optional)}; the other secrets always exist."
  }
  validation {
    condition     = alltrue([for each in var.channels : contains(["each", "app"], each.layout)])
    error_message = "channels: layout is each or app."
  }
  validation {
    condition     = alltrue([for each in var.channels : each.polling_interval_min >= 1 && each.polling_interval_min <= 30 && floor(each.polling_interval_min) == each.polling_interval_min && 60 % each.polling_interval_min == 0])
    error_message = "channels: polling_interval_min divides the hour evenly: 1, 2, 3, 4, 5, 6, 10, 12, 15, 20 or 30 minutes."
  }
  validation {
    condition     = alltrue([for each in var.channels : each.deployment_lock_ttl >= 30 && each.deployment_lock_ttl <= 1700 && floor(each.deployment_lock_ttl) == each.deployment_lock_ttl])
    error_message = "channels: deployment_lock_ttl is 30 to 1700 whole seconds; the scheduler waits at most 30 minutes for a poll."
  }
  validation {
    condition     = alltrue([for each in var.channels : alltrue([for name, _ in each.settings : contains(yamldecode(file("${path.module}/channel/functions.yaml")).settings.free, name)])])
    error_message = "channels: settings may hold ${join(", ", yamldecode(file("${path.module}/channel/functions.yaml")).settings.free)}; secrets belong into Secret Manager, and the rest has variables of its own."
  }
  validation {
    condition     = alltrue([for each in var.channels : alltrue([for name, count in each.min_instances : contains(keys(yamldecode(file("${path.module}/channel/functions.yaml")).functions), name) && count >= 0 && count <= 1])])
    error_message = "channels: min_instances is 0 or 1 by the name of a function."
  }
  validation {
    condition     = alltrue([for each in var.channels : alltrue([for member in each.operators : can(regex("^(user|group|serviceAccount|principal|principalSet):", member))])])
    error_message = "channels: an operator is a named principal, such as user:ada@example.com or group:ops@example.com; never allUsers."
  }
}

variable "alert_emails" {
  description = "Who is told by mail when the health check, the poll or the budget raises an alarm. The functions' own alerts go where ALERT_URLS says."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for each in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", each))])
    error_message = "alert_emails: expected mail addresses."
  }
}

variable "billing_account" {
  description = "The billing account of the project, for the budget's alarm; empty for no budget."
  type        = string
  default     = ""

  validation {
    condition     = var.billing_account == "" || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account: expected an id such as 01AB23-45CD67-89EF01."
  }
}

variable "budget" {
  description = "What a month may cost, in whole units of the billing account's currency, before mails are sent at 50, 90 and 100 %. It stops nothing."
  type        = number
  default     = 10

  validation {
    condition     = var.budget >= 1 && floor(var.budget) == var.budget
    error_message = "budget: expected a whole number from 1 on."
  }
}
