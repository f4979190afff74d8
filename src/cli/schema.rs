//! `routeplane schema`.

use super::Exit;
use super::output::print;

pub(super) fn run() -> Exit {
    print(crate::config::schema::json_schema().trim_end());
    Exit::Done
}
