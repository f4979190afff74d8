//! Drops generations that no request holds any more: here, and not on a request's path.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Live;
use super::status::Board;

/// Between two looks at the generations that requests still hold.
const PAUSE: Duration = Duration::from_millis(250);

/// Takes what the reloader has replaced. Ends with the reloader.
pub async fn run(mut retired: mpsc::UnboundedReceiver<Arc<Live>>, board: Arc<Board>) {
    let mut held: Vec<(Instant, Arc<Live>)> = Vec::new();
    loop {
        tokio::select! {
            live = retired.recv() => match live {
                Some(live) => held.push((Instant::now(), live)),
                None => return,
            },
            () = tokio::time::sleep(PAUSE), if !held.is_empty() => {}
        }
        // Nothing hands out new references to a retired generation, so a count of one is final.
        held.retain(|(_, live)| Arc::strong_count(live) > 1);
        let oldest = held.first().map_or(Duration::ZERO, |(since, _)| since.elapsed());
        board.metrics().config.generations(1 + held.len(), oldest.as_secs_f64());
    }
}
