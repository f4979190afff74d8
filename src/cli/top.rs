//! `routeplane top`: what a running gateway does, once a second, in the terminal.

mod view;

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, Terminal};
use reqwest::Method;
use serde_json::Value;

use self::view::{Seen, View};
use super::Exit;
use super::control::{self, AddressArg};
use super::daemon::Instance;
use super::output::{complain, print};
use crate::config::Env;

const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Requests that are asked for.
const LISTED: usize = 200;
/// Columns and lines of a picture that goes to no terminal.
const PICTURE: (u16, u16) = (120, 40);

/// Watch a running gateway: requests, the health of targets, and what was spent
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print one picture and end; so it is, too, where the output is no terminal
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    address: AddressArg,
}

pub(super) fn run(args: &Args, env: &Env) -> Exit {
    match watch(args, env) {
        Ok(()) => Exit::Done,
        Err(exit) => exit,
    }
}

fn watch(args: &Args, env: &Env) -> Result<(), Exit> {
    let instance = control::find(args.address, env)?;
    let seen = look(&instance).map_err(|(exit, problem)| {
        complain(problem);
        exit
    })?;
    let mut view = View { seen, ..View::default() };
    if args.once || !std::io::stdout().is_terminal() {
        print(picture(&view));
        return Ok(());
    }
    let mut terminal = ratatui::try_init().map_err(broken)?;
    let result = follow(&mut terminal, instance, env, &mut view);
    ratatui::restore();
    result
}

/// Draws until somebody has seen enough. A gateway that is gone is waited for.
fn follow(terminal: &mut DefaultTerminal, mut instance: Instance, env: &Env, view: &mut View) -> Result<(), Exit> {
    loop {
        let next = Instant::now() + EVERY;
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            terminal.draw(|frame| view.draw(frame)).map_err(broken)?;
            if !event::poll(left).map_err(broken)? {
                break;
            }
            if let Event::Key(key) = event::read().map_err(broken)?
                && key.kind != KeyEventKind::Release
            {
                match key.code {
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
                    KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                    KeyCode::Char('p' | ' ') => view.paused = !view.paused,
                    KeyCode::Char('b') => view.book = view.book.next(),
                    KeyCode::Char('f') => view.only_bad = !view.only_bad,
                    KeyCode::Up | KeyCode::Char('k') => view.scroll = view.scroll.saturating_sub(1),
                    KeyCode::Down | KeyCode::Char('j') => view.scroll = (view.scroll + 1).min(LISTED),
                    _ => {}
                }
            }
        }
        if view.paused {
            continue;
        }
        match look(&instance) {
            Ok(seen) => {
                view.seen = seen;
                view.away = None;
            }
            Err((_, problem)) => {
                view.away = Some(problem);
                // One that was started anew has a token of its own.
                instance = control::successor(&instance, env).unwrap_or(instance);
            }
        }
    }
}

fn look(instance: &Instance) -> Result<Seen, (Exit, String)> {
    let ask =
        |path: &str| control::ask_quietly(instance, Method::GET, (path, None), PATIENCE).map(|(_, answer)| answer);
    let list = |mut answer: Value, name: &str| match answer.get_mut(name).map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    Ok(Seen {
        status: ask("/admin/config/status")?,
        targets: list(ask("/admin/health")?, "targets"),
        spend: ask("/admin/spend")?,
        requests: list(ask(&format!("/admin/requests?limit={LISTED}"))?, "requests"),
    })
}

/// What a terminal would show, as text.
fn picture(view: &View) -> String {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(PICTURE.0, PICTURE.1));
    let drawn = terminal.draw(|frame| view.draw(frame));
    let Ok(drawn) = drawn;
    let width = usize::from(PICTURE.0);
    let cells: Vec<&str> = drawn.buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
    let lines: Vec<String> = cells.chunks(width).map(|line| line.concat().trim_end().to_owned()).collect();
    lines.join("\n").trim_end().to_owned()
}

fn broken(error: std::io::Error) -> Exit {
    complain(format!("the terminal cannot be used: {error}; `routeplane top --once` needs none"));
    Exit::Failed
}
