//! Diagnostics for people, through miette. The only file that names it.
