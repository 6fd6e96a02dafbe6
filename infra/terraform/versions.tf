terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.7"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
  # Budgets are billed to the project that asks for them, not to the tool's own.
  user_project_override = true
  billing_project       = var.project
}
