//! Diagnostics as stable JSON, for CI and agents.
