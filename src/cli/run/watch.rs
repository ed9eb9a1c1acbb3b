//! Watches a run's feed across broken connections, until the run ends or the user leaves.

use super::face::Face;
use super::message::{Message, WireRun};
use super::queries::{CANCEL, FOLLOW};
use super::screen::{Change, RunScreen};
use crate::cli::CliError;
use crate::cli::client::{Client, Events, Next, Trouble};
use crate::cli::output;
use claviger_domain::code::ErrorCode;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// Pauses between attempts to reconnect, in milliseconds; the last one repeats.
const WAITS_MS: [u64; 5] = [100, 250, 500, 1000, 2000];

/// How to watch a run.
pub(in crate::cli) struct Watch<'a> {
    pub(in crate::cli) client: &'a mut Client,
    pub(in crate::cli) id: &'a str,
    /// How long to try to reconnect.
    pub(in crate::cli) patience: Duration,
    /// An interruption cancels the run instead of only leaving it.
    pub(in crate::cli) cancel_on_interrupt: bool,
}

/// How watching ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Left {
    Ended(Box<WireRun>),
    /// The user left, and the run goes on.
    Detached,
    /// Nobody reads the output any more (`claviger run attach | head`), and the run goes on.
    Unread,
    /// The user interrupted a second time, to leave at once.
    Killed,
}

/// Interrupt and terminate signals, received from its creation on.
struct Interruptions {
    interrupt: Signal,
    terminate: Signal,
}

impl Interruptions {
    fn listen() -> Result<Self, CliError> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// What the feed reported.
enum Said {
    Message(Box<Message>, Value),
    /// The connection was restored.
    Back,
    /// The connection broke; the next call reconnects.
    Cut,
}

/// A run's feed across connections.
struct Feed<'a> {
    client: &'a mut Client,
    id: &'a str,
    patience: Duration,
    events: Option<Events>,
    /// Since when the connection is broken, and the attempts to restore it; `None` before the first
    /// connection.
    lost: Option<(Instant, usize)>,
}

impl Feed<'_> {
    /// The next report. Dropping the future loses nothing.
    async fn next(&mut self, cursor: Option<&str>) -> Result<Said, CliError> {
        let Some(events) = &mut self.events else { return self.connect(cursor).await };
        let trouble = match events.next().await {
            Ok(Next::Data(mut data)) => {
                let value = data.get_mut("orchestration").map(Value::take).unwrap_or_default();
                let unknown =
                    |_| CliError::from(Trouble::Foreign("a message of an unknown type".to_owned()));
                let message = serde_json::from_value(value.clone()).map_err(unknown)?;
                return Ok(Said::Message(Box::new(message), value));
            }
            // The stream ended before the run: reconnecting brings what is missing.
            Ok(Next::Complete) => Trouble::Lost("the feed ended early".to_owned()),
            Err(trouble) => trouble,
        };
        self.events = None;
        // A session may end during a stream: reconnecting renews it, or fails with the reason.
        if trouble.passes() || trouble.is(ErrorCode::Unauthenticated) {
            self.lost = Some((Instant::now(), 0));
            return Ok(Said::Cut);
        }
        Err(trouble.into())
    }

    async fn connect(&mut self, cursor: Option<&str>) -> Result<Said, CliError> {
        if let Some((_, tries)) = &mut self.lost {
            let wait = WAITS_MS.get(*tries).or(WAITS_MS.last()).copied().unwrap_or_default();
            *tries += 1;
            sleep(Duration::from_millis(wait)).await;
        }
        let trouble =
            match self.client.subscribe(FOLLOW, &json!({ "id": self.id, "after": cursor })).await {
                Ok(events) => {
                    self.events = Some(events);
                    // `lost` is cleared here, so that a connection that breaks at once starts with
                    // the first pause again.
                    self.lost = None;
                    return Ok(Said::Back);
                }
                Err(trouble) => trouble,
            };
        match self.lost {
            None => Err(trouble.into()),
            Some((since, _)) if trouble.passes() && since.elapsed() < self.patience => {
                Ok(Said::Cut)
            }
            // This includes a token that expired meanwhile.
            Some(_) => {
                let CliError { code, message } = CliError::from(trouble);
                Err(CliError::new(
                    code,
                    format!("{message}; the run goes on: claviger run attach {}", self.id),
                ))
            }
        }
    }
}

enum Turn {
    Said(Result<Said, CliError>),
    Interrupted,
}

/// Watches a run until it ends or the user interrupts.
pub(in crate::cli) async fn watch(watch: Watch<'_>, face: &mut Face) -> Result<Left, CliError> {
    let start = Instant::now();
    let now = || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut interruptions = Interruptions::listen()?;
    let Watch { client, id, patience, cancel_on_interrupt } = watch;
    let mut feed = Feed { client, id, patience, events: None, lost: None };
    let mut screen = RunScreen::default();
    let mut is_cancelling = false;
    loop {
        match turn(&mut feed, &screen, face, &mut interruptions, &now).await {
            Turn::Interrupted if cancel_on_interrupt && !is_cancelling => {
                is_cancelling = true;
                if !cancel(&mut feed, &mut interruptions).await? {
                    face.leave(&screen, now());
                    return Ok(Left::Killed);
                }
            }
            Turn::Interrupted => {
                face.leave(&screen, now());
                return Ok(if is_cancelling { Left::Killed } else { Left::Detached });
            }
            Turn::Said(Ok(Said::Message(message, value))) => {
                let changes = screen.apply(&message, now());
                face.tell(&value, &screen, &changes);
                if output::is_unread() {
                    return Ok(Left::Unread);
                }
                if changes.contains(&Change::Lost) {
                    feed.events = None;
                }
                if let Some(run) = screen.run.clone().filter(|_| screen.is_over) {
                    face.conclude(&screen, now());
                    return Ok(Left::Ended(Box::new(run)));
                }
            }
            Turn::Said(Ok(Said::Back)) => {
                if screen.cut_ms.take().is_some() {
                    face.cut(false);
                }
            }
            Turn::Said(Ok(Said::Cut)) => {
                if screen.cut_ms.is_none() {
                    screen.cut_ms = Some(now());
                    face.cut(true);
                }
            }
            Turn::Said(Err(error))
                if error.code == ErrorCode::CursorInvalid && screen.cursor.is_some() =>
            {
                screen.cursor = None;
            }
            Turn::Said(Err(error)) => {
                face.leave(&screen, now());
                return Err(error);
            }
        }
    }
}

/// Waits for the next report or signal, and redraws meanwhile.
async fn turn(
    feed: &mut Feed<'_>,
    screen: &RunScreen,
    face: &mut Face,
    interruptions: &mut Interruptions,
    now: &impl Fn() -> u64,
) -> Turn {
    let mut ticks = interval(face.pace().unwrap_or(Duration::from_hours(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let next = feed.next(screen.cursor.as_deref());
    tokio::pin!(next);
    loop {
        tokio::select! {
            biased;
            () = interruptions.next() => return Turn::Interrupted,
            said = &mut next => return Turn::Said(said),
            _ = ticks.tick() => face.tick(screen, now()),
        }
    }
}

/// Requests the run's cancellation. Returns `false` if the user interrupted again.
async fn cancel(feed: &mut Feed<'_>, interruptions: &mut Interruptions) -> Result<bool, CliError> {
    output::note("cancelling the run; Ctrl-C again leaves at once");
    let variables = json!({ "input": { "id": feed.id } });
    tokio::select! {
        biased;
        () = interruptions.next() => Ok(false),
        asked = feed.client.ask_surely(CANCEL, variables) => {
            asked?;
            Ok(true)
        }
    }
}
