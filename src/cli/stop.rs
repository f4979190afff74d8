//! `routeplane stop`.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::control::{self, AddressArg};
use super::output::{complain, print};
use super::reload::duration;
use super::{Exit, daemon};
use crate::config::Env;

/// Between two looks whether the process has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// Stop a running gateway: no new requests, and those that run finish, within the bound of `limits.drain`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long to wait for its end
    #[arg(long, value_name = "DURATION", default_value = "150s", value_parser = duration)]
    wait: Duration,
    /// Do not let requests finish
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    address: AddressArg,
}

pub(super) fn run(args: &Args, env: &Env) -> Exit {
    match stop(args, env) {
        Ok(pid) => {
            print(format_args!("the gateway with pid {pid} has stopped"));
            Exit::Done
        }
        Err(exit) => exit,
    }
}

fn stop(args: &Args, env: &Env) -> Result<i32, Exit> {
    let instance = control::find(args.address, env)?;
    terminate(instance.pid)?;
    let deadline = Instant::now() + args.wait;
    let mut again = args.now;
    while is_running(instance.pid, env) {
        if Instant::now() >= deadline {
            complain(format!("the gateway with pid {} still finishes its requests; `--now` ends them", instance.pid));
            return Err(Exit::Timeout);
        }
        std::thread::park_timeout(PAUSE);
        if again {
            // The second signal is the one that does not wait; the first must have been taken before it comes.
            terminate(instance.pid)?;
            again = false;
        }
    }
    Ok(instance.pid)
}

fn terminate(pid: i32) -> Result<(), Exit> {
    let Some(process) = Pid::from_raw(pid) else { return Err(Exit::Failed) };
    match kill_process(process, Signal::TERM) {
        // It has ended in the meantime.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(rustix::io::Errno::PERM) => {
            complain(format!("the process {pid} belongs to another user"));
            Err(Exit::Denied)
        }
        Err(error) => {
            complain(format!("the process {pid} cannot be stopped: {error}"));
            Err(Exit::Failed)
        }
    }
}

fn is_running(pid: i32, env: &Env) -> bool {
    let running = daemon::folder(env).and_then(|folder| daemon::running(&folder).ok()).unwrap_or_default();
    running.iter().any(|instance| instance.pid == pid)
}
