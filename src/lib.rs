//! Routeplane: one YAML file, compiled into an immutable routing table, in front of every model provider.
//!
//! The modules, in the order of their dependencies (each may use only those above it):
//!
//! | module | what it is |
//! |---|---|
//! | [`source`], [`diagnostic`], [`glob`], [`pattern`] | texts, positions, and what is said about them; patterns of names and of texts |
//! | [`wire`], [`rule`], [`provider`] | protocols and their hub; the rule language; what a provider is |
//! | [`table`] | the compiled, immutable routing table and the one decision function |
//! | [`config`] | from the file to the table; pure |
//! | [`import`] | from other gateways' configurations to ours; pure |
//! | [`editor`] | what an editor asks of a file; pure |
//! | [`state`], [`live`], [`upstream`] | what changes at run time; the live table and its reloads; connections |
//! | [`telemetry`], [`proxy`] | metrics and logs; the request path |
//! | [`cli`] | the commands |
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod diagnostic;
pub mod editor;
pub mod glob;
pub mod import;
pub mod live;
pub mod pattern;
pub mod provider;
pub mod proxy;
pub mod rule;
pub mod source;
pub mod state;
pub mod table;
pub mod telemetry;
pub mod upstream;
pub mod wire;
