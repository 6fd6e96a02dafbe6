# Everything here is checked by the module above, where people set it.

variable "name" {
  description = "The channel's name; it is part of the name of everything here."
  type        = string
}

variable "config" {
  description = "The channel's entry in `channels` of the module above, where each member is described."
  type = object({
    trust_anchor         = string
    github_owner         = string
    github_repo          = string
    github_branch        = string
    github_app_id        = string
    optional_secrets     = set(string)
    neo4j_uri            = string
    layout               = string
    polling_interval_min = number
    deployment_lock_ttl  = number
    deferred_queue       = bool
    settings             = map(string)
    min_instances        = map(number)
    operators            = set(string)
    callers              = set(string)
  })
}

variable "project" {
  description = "Id of the Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of everything here."
  type        = string
}

variable "package" {
  description = "Where the source package lies, where its images go, and which service account builds them."
  type = object({
    bucket     = string
    object     = string
    repository = string
    builder    = string
  })
}

variable "channels" {
  description = "Names of Cloud Monitoring's notification channels, which alarms go to."
  type        = list(string)
}
