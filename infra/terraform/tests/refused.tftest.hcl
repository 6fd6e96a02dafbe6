# Missing, wrong or contradictory: each stops the plan, and is named. The channels here follow octo/skills; their trust is
# {"channel": "prod", "ref": "HEAD", "repo": "octo/skills", "version": 1}.

mock_provider "google" {}

variables {
  project  = "octo-skills"
  package  = "tests/package.txt"
  channels = {}
}

run "no_channel_at_all" {
  command = plan
  variables {
    channels = {}
  }
  expect_failures = [var.channels]
}

run "name_that_service_accounts_cannot_bear" {
  command = plan
  variables {
    channels = {
      Production = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
      }
    }
  }
  expect_failures = [var.channels]
}

run "names_that_could_not_be_told_apart" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "eyJ2ZXJz"
      }
      prod-eu = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "eyJ2ZXJz"
      }
    }
  }
  expect_failures = [var.channels]
}

run "trust_anchor_that_is_none" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "eyJ2ZXJz"
      }
    }
  }
  expect_failures = [var.channels]
}

run "trust_of_another_channel" {
  command = plan
  variables {
    channels = {
      staging = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
      }
    }
  }
  expect_failures = [var.channels]
}

run "trust_of_another_repository" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "others"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
      }
    }
  }
  expect_failures = [var.channels]
}

run "trust_of_another_branch" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner  = "octo"
        github_repo   = "skills"
        trust_anchor  = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        github_branch = "main"
      }
    }
  }
  expect_failures = [var.channels]
}

run "address_in_place_of_an_owner" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner = "https://github.com/octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
      }
    }
  }
  expect_failures = [var.channels]
}

run "ref_in_place_of_a_branch" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner  = "octo"
        github_repo   = "skills"
        trust_anchor  = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        github_branch = "refs/heads/main"
      }
    }
  }
  expect_failures = [var.channels]
}

run "graph_inside_railway" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner     = "octo"
        github_repo      = "skills"
        trust_anchor     = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        neo4j_uri        = "bolt+s://neo4j.railway.internal:7687"
        optional_secrets = ["NEO4J_PASSWORD"]
      }
    }
  }
  expect_failures = [var.channels]
}

run "graph_without_tls" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner     = "octo"
        github_repo      = "skills"
        trust_anchor     = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        neo4j_uri        = "bolt://db.example.com"
        optional_secrets = ["NEO4J_PASSWORD"]
      }
    }
  }
  expect_failures = [var.channels]
}

run "graph_with_its_password_in_the_address" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner     = "octo"
        github_repo      = "skills"
        trust_anchor     = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        neo4j_uri        = "neo4j+s://neo4j:pass@db.example.com"
        optional_secrets = ["NEO4J_PASSWORD"]
      }
    }
  }
  expect_failures = [var.channels]
}

run "graph_without_a_password" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        neo4j_uri    = "neo4j+s://db.example.com"
      }
    }
  }
  expect_failures = [var.channels]
}

run "password_without_a_graph" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner     = "octo"
        github_repo      = "skills"
        trust_anchor     = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        optional_secrets = ["NEO4J_PASSWORD"]
      }
    }
  }
  expect_failures = [var.channels]
}

run "user_without_a_graph" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner     = "octo"
        github_repo      = "skills"
        trust_anchor     = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        optional_secrets = ["NEO4J_USER"]
      }
    }
  }
  expect_failures = [var.channels]
}

run "app_without_its_key" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner  = "octo"
        github_repo   = "skills"
        trust_anchor  = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        github_app_id = "123"
      }
    }
  }
  expect_failures = [var.channels]
}

run "key_without_its_app" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner     = "octo"
        github_repo      = "skills"
        trust_anchor     = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        optional_secrets = ["GITHUB_APP_KEY"]
      }
    }
  }
  expect_failures = [var.channels]
}

run "token_beside_an_app" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner     = "octo"
        github_repo      = "skills"
        trust_anchor     = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        github_app_id    = "123"
        optional_secrets = ["GITHUB_APP_KEY", "GITHUB_TOKEN"]
      }
    }
  }
  expect_failures = [var.channels]
}

run "secret_that_nobody_knows" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner     = "octo"
        github_repo      = "skills"
        trust_anchor     = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        optional_secrets = ["GITHUB_TOKENS"]
      }
    }
  }
  expect_failures = [var.channels]
}

run "layout_that_is_none" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        layout       = "both"
      }
    }
  }
  expect_failures = [var.channels]
}

run "interval_that_does_not_divide_the_hour" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner         = "octo"
        github_repo          = "skills"
        trust_anchor         = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        polling_interval_min = 7
      }
    }
  }
  expect_failures = [var.channels]
}

run "poll_longer_than_the_scheduler_waits" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner        = "octo"
        github_repo         = "skills"
        trust_anchor        = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        deployment_lock_ttl = 1800
      }
    }
  }
  expect_failures = [var.channels]
}

run "secret_among_the_settings" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        settings = {
          SIGNING_KEY = "x"
        }
      }
    }
  }
  expect_failures = [var.channels]
}

run "setting_with_a_variable_of_its_own" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        settings = {
          CHANNEL = "prod"
        }
      }
    }
  }
  expect_failures = [var.channels]
}

run "warm_instance_of_nothing" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        min_instances = {
          releases = 1
        }
      }
    }
  }
  expect_failures = [var.channels]
}

run "many_warm_instances" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        min_instances = {
          release = 50
        }
      }
    }
  }
  expect_failures = [var.channels]
}

run "everybody_as_operator" {
  command = plan
  variables {
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
        operators    = ["allUsers"]
      }
    }
  }
  expect_failures = [var.channels]
}

run "number_in_place_of_a_project" {
  command = plan
  variables {
    project = "12345"
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
      }
    }
  }
  expect_failures = [var.project]
}

run "zone_in_place_of_a_region" {
  command = plan
  variables {
    region = "us-central1-a"
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
      }
    }
  }
  expect_failures = [var.region]
}

run "package_that_was_not_made" {
  command = plan
  variables {
    package = "tests/none.zip"
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
      }
    }
  }
  expect_failures = [var.package]
}

run "address_that_is_no_mail" {
  command = plan
  variables {
    alert_emails = ["ada"]
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
      }
    }
  }
  expect_failures = [var.alert_emails]
}

run "billing_account_that_is_none" {
  command = plan
  variables {
    billing_account = "mine"
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
      }
    }
  }
  expect_failures = [var.billing_account]
}

run "budget_of_nothing" {
  command = plan
  variables {
    budget = 0
    channels = {
      prod = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = "{\"payload\": \"eyJjaGFubmVsIjogInByb2QiLCAicmVmIjogIkhFQUQiLCAicmVwbyI6ICJvY3RvL3NraWxscyIsICJ2ZXJzaW9uIjogMX0=\"}"
      }
    }
  }
  expect_failures = [var.budget]
}
