//! A server that answers byte for byte what a test tells it to, and remembers what it was asked. It
//! understands just enough HTTP to find the end of a request; being wrong on purpose is its whole
//! job.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apono_client::{Client, ClientConfig, Token};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(crate) const TOKEN: &str = "aup_not-a-real-token";

/// What the server does with one request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Writes these bytes and closes the connection.
    Bytes(Vec<u8>),
    /// Writes these bytes and then nothing, for ever.
    Hang(Vec<u8>),
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Serves the replies in turn, then closes every further connection unanswered.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::start_behind(None, replies).await
    }

    /// The same, behind TLS when there is an acceptor.
    pub(crate) async fn start_behind(
        tls: Option<TlsAcceptor>,
        replies: impl IntoIterator<Item = Reply>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let replies = Arc::new(Mutex::new(replies.into_iter().collect::<VecDeque<_>>()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, replies) = (Arc::clone(&seen), Arc::clone(&replies));
                match tls.clone() {
                    None => drop(tokio::spawn(serve(stream, seen, replies))),
                    Some(tls) => drop(tokio::spawn(async move {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, seen, replies).await;
                        }
                    })),
                }
            }
        });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The request line of everything asked, without the protocol version.
    pub(crate) fn lines(&self) -> Vec<String> {
        let short = |asked: &Asked| asked.line.trim_end_matches(" HTTP/1.1").to_owned();
        self.asked().iter().map(short).collect()
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(|_| ())
    }

    pub(crate) fn client_with(&self, adjust: impl FnOnce(&mut ClientConfig)) -> Client {
        client(&self.url, adjust)
    }
}

pub(crate) fn client(url: &str, adjust: impl FnOnce(&mut ClientConfig)) -> Client {
    let mut config = ClientConfig::new(url.parse().unwrap());
    adjust(&mut config);
    Client::new(config, Token::new(TOKEN).unwrap()).unwrap()
}

/// Short enough not to be waited for, long enough for a loaded machine to write an answer's head.
pub(crate) fn impatient(config: &mut ClientConfig) {
    config.timeout = Duration::from_millis(500);
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    asked: Arc<Mutex<Vec<Asked>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
) {
    let Some(request) = read_request(&mut stream).await else {
        return;
    };
    asked.lock().unwrap().push(request);
    let reply = replies.lock().unwrap().pop_front();
    match reply {
        None => (),
        Some(Reply::Bytes(bytes)) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Some(Reply::Hang(bytes)) => {
            let _ = stream.write_all(&bytes).await;
            std::future::pending::<()>().await;
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let (line, head) = head.split_once("\r\n").unwrap_or((head, ""));
            let (line, head, body) = (line.to_owned(), head.to_owned(), body.to_owned());
            let asked = Asked { line, head, body };
            let length = asked
                .header("content-length")
                .map_or(0, |text| text.parse().unwrap());
            if asked.body.len() >= length {
                return Some(asked);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// A well-formed answer.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut text = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
    for (name, value) in headers {
        text = format!("{text}{name}: {value}\r\n");
    }
    Reply::Bytes(format!("{text}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

pub(crate) fn ok(body: &str) -> Reply {
    answer(200, &[], body)
}

/// An answer that announces more than it sends.
pub(crate) fn cut_short(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{body}").into_bytes()
}

pub(crate) fn request(id: &str) -> String {
    format!(r#"{{"id":"{id}","status":"Active","creation_date":"2022-03-10T16:15:50Z"}}"#)
}

pub(crate) fn page(ids: &[&str], next: &str) -> String {
    let items: Vec<_> = ids.iter().map(|id| request(id)).collect();
    format!(
        r#"{{"items":[{}],"pagination":{{"next_page_token":"{next}"}}}}"#,
        items.join(",")
    )
}
