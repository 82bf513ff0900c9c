//! `canary status`: one picture, or one for each change.

mod until;

use std::io;
use std::time::Duration;

use fleetmesh_crds::Route;
use futures::{Stream, StreamExt as _, pin_mut};
use jiff::Timestamp;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::args::{Format, StatusArgs};
use crate::cluster::ObjectPlace;
use crate::draw::draw;
use crate::error::Error;
use crate::output::Output;
use crate::report::StatusReport;
use until::{WatchEnding, ending};

/// How often a live picture is drawn anew: its times are in seconds.
const TICK: Duration = Duration::from_secs(1);
/// When nobody set a limit. Timers need a time that the platform can represent.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Shows the rollout once, or until it is stopped.
///
/// # Errors
/// The Route cannot be read; with `--until-done` also when the rollout did not end with the new targets, or not in time.
pub async fn run(args: StatusArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let place = ObjectPlace::of(&args.route).await?;
    if args.watch || args.until_done {
        let events = watcher(place.routes.clone(), only(&place.name)).default_backoff();
        StatusWatch { args, place, seen: None, trouble: None, listed: false }.run(events, output).await
    } else {
        let route = place.route().await?;
        Ok(show(&args, &route, None, output)?)
    }
}

fn only(name: &str) -> watcher::Config {
    watcher::Config::default().fields(&format!("metadata.name={name}"))
}

fn show(
    args: &StatusArgs,
    route: &Route,
    trouble: Option<&str>,
    output: &mut Output<'_>,
) -> Result<(), io::Error> {
    let report = StatusReport::of(route);
    match args.output {
        Format::Json if args.watch || args.until_done => {
            output.print(&format!("{}\n", serde_json::to_string(&report)?))
        }
        Format::Json => output.print(&format!("{}\n", serde_json::to_string_pretty(&report)?)),
        Format::Text => {
            let mut picture = draw(route, Timestamp::now(), output.style(), args.history);
            if let Some(trouble) = trouble {
                picture.push_str(&format!("\nnot up to date: {trouble}; trying again\n"));
            }
            output.show(&picture)
        }
    }
}

/// A watch of one Route.
struct StatusWatch {
    args: StatusArgs,
    place: ObjectPlace,
    /// The Route as it was shown last.
    seen: Option<Route>,
    /// What went wrong since.
    trouble: Option<String>,
    /// Whether the API server has listed everything once.
    listed: bool,
}

impl StatusWatch {
    async fn run(
        mut self,
        events: impl Stream<Item = Result<Event<Route>, watcher::Error>>,
        output: &mut Output<'_>,
    ) -> Result<(), Error> {
        pin_mut!(events);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let limit = sleep_until(Instant::now() + self.args.timeout.unwrap_or(FOREVER));
        pin_mut!(limit);
        loop {
            tokio::select! {
                event = events.next() => {
                    let Some(event) = event else { return Ok(()) };
                    if self.take(event, output)? {
                        return Ok(());
                    }
                }
                _ = tick.tick(), if output.is_live() && self.args.output == Format::Text => self.redraw(output)?,
                () = &mut limit => return Err(self.timed_out()),
            }
        }
    }

    /// Takes notice of an event; true when there is nothing more to wait for.
    fn take(
        &mut self,
        event: Result<Event<Route>, watcher::Error>,
        output: &mut Output<'_>,
    ) -> Result<bool, Error> {
        match event {
            Ok(Event::Apply(route) | Event::InitApply(route)) => {
                self.trouble = None;
                return self.change(route, output);
            }
            Ok(Event::Delete(_)) => return Err(self.gone()),
            Ok(Event::Init) => {}
            Ok(Event::InitDone) if self.seen.is_none() => return Err(Error::NoRoute(self.place.to_string())),
            Ok(Event::InitDone) => self.listed = true,
            Err(error) if self.listed => {
                self.trouble = Some(error.to_string());
                if output.is_live() {
                    self.redraw(output)?;
                }
            }
            Err(error) => return Err(self.unlisted(error)),
        }
        Ok(false)
    }

    fn change(&mut self, route: Route, output: &mut Output<'_>) -> Result<bool, Error> {
        let before = self.seen.replace(route);
        let Some(route) = &self.seen else { return Ok(false) };
        let news =
            before.as_ref().is_none_or(|before| before.spec != route.spec || before.status != route.status);
        if news {
            if before.is_some() && !output.is_live() && self.args.output == Format::Text {
                output.print("\n")?;
            }
            show(&self.args, route, None, output)?;
        }
        if !self.args.until_done {
            return Ok(false);
        }
        match ending(route) {
            WatchEnding::UnderWay => Ok(false),
            WatchEnding::Done => Ok(true),
            WatchEnding::Aborted(words) => Err(Error::EndedOtherwise(words)),
        }
    }

    fn redraw(&self, output: &mut Output<'_>) -> Result<(), Error> {
        if let Some(route) = &self.seen {
            show(&self.args, route, self.trouble.as_deref(), output)?;
        }
        Ok(())
    }

    fn gone(&self) -> Error {
        Error::EndedOtherwise(format!("the Route {} was deleted", self.place))
    }

    fn unlisted(&self, error: watcher::Error) -> Error {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => self.place.unreadable(error),
            watcher::Error::WatchError(status) => self.place.unreadable(kube::Error::Api(status)),
            error @ watcher::Error::NoResourceVersion => Error::EndedOtherwise(error.to_string()),
        }
    }

    fn timed_out(&self) -> Error {
        let limit = humantime::format_duration(self.args.timeout.unwrap_or(FOREVER));
        Error::TimedOut(format!("the rollout of {} is not done after {limit}", self.place))
    }
}
