//! Agents that stay up.
