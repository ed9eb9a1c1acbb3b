//! The two sides of the comparison: the server, and bare sockets over a broadcast channel.

use super::crowd::{Crowd, Manners, Ws, say};
use crate::error::BenchError;
use crate::figures::rate;
use crate::http::Talk;
use crate::person::Person;
use std::time::{Duration, Instant};

/// The source of events.
pub(super) enum Publisher {
    /// A mutation over HTTP. The measured time starts before it is sent, so it includes the commit.
    Server { talk: Talk, person: Person, made: usize },
    /// A message on a socket of its own.
    Bare(Box<Ws>),
}

impl Publisher {
    async fn publish(&mut self) -> Result<(), BenchError> {
        match self {
            Self::Bare(socket) => say(socket, r#"{"type":"publish"}"#).await,
            Self::Server { talk, person, made } => {
                *made += 1;
                let request = person.event(*made);
                if talk.ask(&request).await? == 200
                    && talk.body.windows(10).any(|part| part == b"\"position\"")
                {
                    Ok(())
                } else {
                    Err(BenchError::Subject("it does not publish an event"))
                }
            }
        }
    }

    /// The current cursor of the events; bare sockets have none.
    pub(super) async fn cursor(&mut self) -> Result<String, BenchError> {
        match self {
            Self::Bare(_) => Ok(String::new()),
            Self::Server { talk, person, .. } => person.cursor(talk).await,
        }
    }
}

/// How long each subscriber waited for each of `events` events, published one after the other.
pub(super) async fn one_by_one(
    publisher: &mut Publisher,
    crowd: &Crowd,
    events: usize,
) -> Result<Vec<Duration>, BenchError> {
    let mut waits = Vec::new();
    for _ in 0..events {
        crowd.expect(1);
        let asked = Instant::now();
        let (done, heard) = tokio::join!(publisher.publish(), crowd.heard());
        done?;
        waits.extend(heard?.into_iter().map(|heard| heard.duration_since(asked)));
    }
    Ok(waits)
}

/// Deliveries per second while events are published as fast as possible.
pub(super) async fn at_once(
    publisher: &mut Publisher,
    crowd: &Crowd,
    events: usize,
) -> Result<f64, BenchError> {
    crowd.expect(events);
    let asked = Instant::now();
    let publishing = async {
        for _ in 0..events {
            publisher.publish().await?;
        }
        Ok::<(), BenchError>(())
    };
    let (done, heard) = tokio::join!(publishing, crowd.heard());
    done?;
    let heard = heard?;
    let last = heard.iter().max().map_or(Duration::ZERO, |last| last.duration_since(asked));
    Ok(rate(heard.len(), last))
}

/// How subscribers connect to the server, and its publisher.
pub(super) async fn of_server(
    address: std::net::SocketAddr,
    person: &Person,
) -> Result<(Manners, Publisher), BenchError> {
    let mut talk = Talk::open(address).await?;
    let after = person.cursor(&mut talk).await?;
    let manners = Manners { address, token: person.token.clone(), after };
    Ok((manners, Publisher::Server { talk, person: person.clone(), made: 0 }))
}
