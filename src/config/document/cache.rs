//! The cache of answers as written.

use std::time::Duration;

use crate::config::decode::leaf::{Choice, DurationText, Flag, Size};
use crate::config::decode::mapping;
use crate::config::decode::texts::CacheWord;
use crate::source::Spanned;

mapping! {
    /// What is kept in memory of answers for requests with the same content. What nobody asked for longest makes room.
    #[called = "the setting of the cache"]
    #[derive(Debug, Clone, Default)]
    pub struct CacheEntry {
        /// `false`: nothing is kept, whatever presets and requests ask for.
        "enabled" default "true" => enabled: Option<Spanned<bool>> as Flag,
        /// The oldest that an answer may be, whatever presets and requests allow.
        "ttl" default "24h" => ttl: Option<Spanned<Duration>> as DurationText,
        /// Most bytes of all answers together. One may have a quarter of it.
        "memory" default "64MiB" => memory: Option<Spanned<u64>> as Size,
    }
}

mapping! {
    /// How the requests of a preset use the cache. `cache: 10m` is `cache: { ttl: 10m }`.
    #[called = "the cache of a preset"]
    #[derive(Debug, Clone, Default)]
    pub struct PresetCacheEntry short "ttl", {
        /// The oldest answer that is good enough. Without it, `ttl` of the file's own `cache`.
        "ttl" => ttl: Option<Spanned<Duration>> as DurationText,
        /// Answers are taken from the cache and put into it (`on`), only taken (`read_only`), only put (`write_only`), or
        /// neither (`off`), which a preset around this one may say.
        "mode" default "on" => mode: Option<Spanned<String>> as Choice<CacheWord>,
    }
}
