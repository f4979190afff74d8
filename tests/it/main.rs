//! All integration tests, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod bugs;
mod callers;
mod cli;
mod clouds;
mod compression;
mod config;
mod converse;
mod corpus;
mod docs;
mod failover;
mod faults;
mod gateway;
mod harness;
mod hostile_wire;
mod http_client;
mod init;
mod laws;
mod mock_upstream;
mod on_loss;
mod operate;
mod providers;
mod proxy;
mod quirks;
mod relay;
mod reload;
mod reload_faults;
mod reload_load;
mod rules;
mod sandbox;
mod sdk;
mod security;
mod silent_drops;
mod table;
mod tidy;
mod words;
