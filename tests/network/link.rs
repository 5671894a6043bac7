//! A TCP link between the operator and one of its two servers that can be silent, cut or down.
//! It carries bytes and understands none, so TLS passes through it untouched.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What the link does; connections are numbered as they come.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    /// Nothing passes, and nobody is told.
    is_silent: bool,
    /// Nobody listens.
    is_down: bool,
    /// Connections below this number carry nothing any more, and nobody is told.
    dead_below: u64,
    /// Connections below this number are closed.
    cut_below: u64,
}

/// The link; gone when dropped.
pub struct Link {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    next: std::sync::Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

impl Link {
    /// A link that leads there.
    pub async fn new(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (weather, seen) = watch::channel(Weather::default());
        let next = std::sync::Arc::new(AtomicU64::new(0));
        let numbers = std::sync::Arc::clone(&next);
        let listening = tokio::spawn(async move {
            listen(listener, address, target, &numbers, seen).await;
        });
        Self {
            address,
            weather,
            next,
            listening,
        }
    }

    /// Where it begins.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections there are carry nothing any more, as when a router forgets them; new ones work.
    pub fn forget(&self) {
        let next = self.next.load(Ordering::SeqCst);
        self.weather
            .send_modify(|weather| weather.dead_below = next);
    }

    /// Nothing passes until [`Self::heal`]; then it all arrives, late.
    pub fn silence(&self) {
        self.weather.send_modify(|weather| weather.is_silent = true);
    }

    /// Every connection is closed, and no new one is accepted until [`Self::heal`].
    pub fn down(&self) {
        let next = self.next.load(Ordering::SeqCst);
        self.weather.send_modify(|weather| {
            weather.cut_below = next;
            weather.is_down = true;
        });
    }

    /// Every connection is closed; new ones work.
    pub fn cut(&self) {
        let next = self.next.load(Ordering::SeqCst);
        self.weather.send_modify(|weather| weather.cut_below = next);
    }

    /// Ends silence and downtime.
    pub fn heal(&self) {
        self.weather.send_modify(|weather| {
            weather.is_silent = false;
            weather.is_down = false;
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(
    listener: TcpListener,
    address: SocketAddr,
    target: SocketAddr,
    numbers: &AtomicU64,
    mut weather: watch::Receiver<Weather>,
) {
    let mut listener = Some(listener);
    loop {
        if weather.borrow_and_update().is_down {
            listener = None;
            let _ = weather.wait_for(|weather| !weather.is_down).await;
        }
        let open = match listener.take() {
            Some(open) => open,
            None => TcpListener::bind(address)
                .await
                .expect("the port is still free"),
        };
        tokio::select! {
            accepted = open.accept() => {
                if let Ok((near, _)) = accepted {
                    let number = numbers.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(carry(near, target, number, weather.clone()));
                }
            }
            _ = weather.changed() => {}
        }
        listener = Some(open);
    }
}

async fn carry(
    near: TcpStream,
    target: SocketAddr,
    number: u64,
    weather: watch::Receiver<Weather>,
) {
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let mut cut = weather.clone();
    tokio::select! {
        _ = cut.wait_for(|weather| number < weather.cut_below) => {}
        ((), ()) = async { tokio::join!(
            pump(near_read, far_write, number, weather.clone()),
            pump(far_read, near_write, number, weather.clone()),
        ) } => {}
    }
}

/// Carries one direction. The end of a connection is a message like any other.
async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    number: u64,
    mut weather: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        let passes = |weather: &Weather| !weather.is_silent && number >= weather.dead_below;
        if weather.wait_for(passes).await.is_err() {
            return;
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            let _ = to.shutdown().await;
            return;
        }
    }
}
