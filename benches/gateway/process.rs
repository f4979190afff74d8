//! What the kernel says about processes.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// CPU time of all threads of the processes so far, in nanoseconds (`/proc/PID/task/TID/schedstat`: user and system time
/// together, finer than the clock ticks of `/proc/PID/stat`).
pub(crate) fn cpu_nanoseconds(processes: &[u32]) -> u64 {
    let of_thread = |path: std::path::PathBuf| -> u64 {
        let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
    };
    let of_process = |pid: &u32| -> u64 {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process is running");
        threads.flatten().map(|entry| of_thread(entry.path())).sum()
    };
    processes.iter().map(of_process).sum()
}

/// Resident memory in KiB.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is running");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
}

/// The children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// As many open files as the system allows, for this process and those that it starts.
pub(crate) fn raise_file_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("the file limit can be raised");
}
