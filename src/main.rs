//! The program: parse the arguments, run the command, say how it went.

use routeplane::cli::{self, Exit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Exit {
    cli::run(std::env::args_os())
}
