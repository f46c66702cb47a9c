"""Pictures and pages; figures without a global state, so that nodes may draw in any order."""
