"""What tests of Tiercel, and of rules written for it, need: services, builders of events. Shipped with the package."""
