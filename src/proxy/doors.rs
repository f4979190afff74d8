//! The listeners of a gateway, as a reload moves them.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Gateway;
use super::server::{self, Serving};
use crate::live::reload::{Bound, Listeners};

/// Every address at which requests come in, and those that are closing.
pub struct Doors {
    gateway: OnceLock<Arc<Gateway>>,
    connections: Arc<Semaphore>,
    open: Mutex<Open>,
}

struct Open {
    /// By the address as it was asked for: port 0 is another one once it is bound.
    serving: Vec<(SocketAddr, Serving)>,
    /// Connections that may be open at once.
    limit: u32,
}

impl Doors {
    /// No address yet; at most `limit` connections at once, over all addresses.
    pub fn new(limit: u32) -> Arc<Doors> {
        Arc::new(Doors {
            gateway: OnceLock::new(),
            connections: Arc::new(Semaphore::new(limit as usize)),
            open: Mutex::new(Open { serving: Vec::new(), limit }),
        })
    }

    /// Who answers. Set once, before the first address is served: the gateway has a router that knows the reloader, which
    /// knows these doors.
    pub fn answer_with(&self, gateway: Arc<Gateway>) {
        // A second call would be a mistake in the program; the first one stays.
        let _ = self.gateway.set(gateway);
    }

    fn serve(&self, asked: SocketAddr, listener: tokio::net::TcpListener) {
        let Some(gateway) = self.gateway.get() else { return };
        match server::serve(gateway.clone(), listener, self.connections.clone()) {
            Ok(serving) => self.lock().serving.push((asked, serving)),
            Err(error) => tracing::error!(address = %asked, %error, "the address is bound and cannot be served"),
        }
    }

    /// Closes all addresses: requests in flight have `limit` to finish.
    pub async fn close(&self, limit: Duration) {
        let serving = std::mem::take(&mut self.lock().serving);
        let closing: Vec<_> = serving.into_iter().map(|(_, serving)| tokio::spawn(serving.drain(limit))).collect();
        for door in closing {
            // A task that panicked has closed its connections.
            let _ = door.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listeners for Arc<Doors> {
    fn bind(&self, asked: SocketAddr) -> io::Result<Bound> {
        let listener = server::bind(asked)?;
        let address = listener.local_addr()?;
        let doors = self.clone();
        Ok(Bound { address, serve: Box::new(move || doors.serve(asked, listener)) })
    }

    fn retire(&self, asked: SocketAddr, drain: Duration) {
        let mut open = self.lock();
        let (retired, kept) = std::mem::take(&mut open.serving).into_iter().partition(|(address, _)| *address == asked);
        open.serving = kept;
        drop(open);
        let retired: Vec<(SocketAddr, Serving)> = retired;
        for (_, serving) in retired {
            tokio::spawn(serving.drain(drain));
        }
    }

    fn limit(&self, connections: u32) {
        let mut open = self.lock();
        let before = std::mem::replace(&mut open.limit, connections);
        drop(open);
        if connections >= before {
            self.connections.add_permits((connections - before) as usize);
            return;
        }
        // Taken away as connections end; nobody is cut off.
        let semaphore = self.connections.clone();
        tokio::spawn(async move {
            if let Ok(permits) = semaphore.acquire_many(before - connections).await {
                permits.forget();
            }
        });
    }
}
