//! The picture: what is seen, laid out.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table};
use serde_json::Value;

/// What the gateway says.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) status: Value,
    pub(super) targets: Vec<Value>,
    pub(super) spend: Value,
    /// The newest first.
    pub(super) requests: Vec<Value>,
}

/// By what the money is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Book {
    #[default]
    Models,
    Routes,
    Keys,
}

impl Book {
    pub(super) fn next(self) -> Book {
        match self {
            Book::Models => Book::Routes,
            Book::Routes => Book::Keys,
            Book::Keys => Book::Models,
        }
    }

    /// The member of `/admin/spend`, and what it is by.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Book::Models => ("models", "model"),
            Book::Routes => ("routes", "route"),
            Book::Keys => ("keys", "client key"),
        }
    }
}

/// What is seen, and how it is to be shown.
#[derive(Default)]
pub(super) struct View {
    pub(super) seen: Seen,
    pub(super) paused: bool,
    pub(super) only_bad: bool,
    pub(super) book: Book,
    /// Requests that are scrolled past.
    pub(super) scroll: usize,
}

impl View {
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let most = |items: usize, limit: u16| u16::try_from(items).unwrap_or(limit).min(limit) + 3;
        let books = self.entries().len();
        let high = most(self.seen.targets.len().max(books), 9);
        let [head, middle, requests, keys] = Layout::vertical([
            Constraint::Length(self.head().len() as u16),
            Constraint::Length(high),
            Constraint::Min(4),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let [targets, spend] =
            Layout::horizontal([Constraint::Percentage(58), Constraint::Percentage(42)]).spacing(2).areas(middle);
        frame.render_widget(Paragraph::new(self.head()), head);
        self.draw_targets(frame, targets);
        self.draw_spend(frame, spend);
        self.draw_requests(frame, requests);
        let pause = if self.paused { "p go on" } else { "p pause" };
        let text = format!(
            " q end  {pause}  f only what did not end well  b spend by {}  \u{2191}\u{2193} scroll",
            self.book.next().words().1
        );
        frame.render_widget(Paragraph::new(text).style(quiet()), keys);
    }

    fn head(&self) -> Vec<Line<'static>> {
        let status = &self.seen.status;
        let total = self.seen.spend.get("total").unwrap_or(&Value::Null);
        let config = text(status, "/config");
        let config = if config.is_empty() { "no file".to_owned() } else { config };
        let first = format!(
            "routeplane {}  generation {}  {config}  {}{}",
            text(status, "/version"),
            text(status, "/active/generation"),
            text(status, "/listen"),
            if self.paused { "  PAUSED" } else { "" },
        );
        let sums = format!(
            "{} requests, {} did not end well, {} tokens in, {} out, {} spent since the start",
            whole(total, "/requests"),
            whole(total, "/failed"),
            whole(total, "/input_tokens"),
            whole(total, "/output_tokens"),
            money(number(total, "/cost_usd")),
        );
        let mut lines = vec![Line::styled(first, Style::new().add_modifier(Modifier::BOLD)), Line::raw(sums)];
        if status.pointer("/drift") == Some(&Value::Bool(true)) {
            let refused = "the file as it is now was refused; `routeplane status` says why";
            lines.push(Line::styled(refused, Style::new().fg(Color::Red)));
        }
        lines
    }

    fn draw_targets(&self, frame: &mut Frame<'_>, area: Rect) {
        let rows = self.seen.targets.iter().map(|target| {
            let condition = text(target, "/condition");
            let colour = if condition == "up" { Color::Green } else { Color::Red };
            Row::new([
                Line::raw(text(target, "/target")),
                Line::styled(condition, Style::new().fg(colour)),
                Line::raw(whole(target, "/in_flight")).right_aligned(),
                Line::raw(millis(number(target, "/first_token_ms"))).right_aligned(),
                Line::raw(millis(number(target, "/latency_ms"))).right_aligned(),
            ])
        });
        let widths = [
            Constraint::Min(20),
            Constraint::Length(8),
            Constraint::Length(6),
            Constraint::Length(8),
            Constraint::Length(8),
        ];
        let table = Table::new(rows, widths)
            .header(header(["target", "", "busy", "first", "whole"], 2))
            .block(block("targets"));
        frame.render_widget(table, area);
    }

    /// Names with their sums, the dearest first.
    fn entries(&self) -> Vec<(&str, &Value)> {
        let book = self.seen.spend.get(self.book.words().0).and_then(Value::as_object);
        let mut entries: Vec<(&str, &Value)> =
            book.into_iter().flatten().map(|(name, sums)| (name.as_str(), sums)).collect();
        let rank = |sums: &Value| (number(sums, "/cost_usd").unwrap_or(0.0), number(sums, "/requests").unwrap_or(0.0));
        entries.sort_by(|(_, a), (_, b)| rank(b).partial_cmp(&rank(a)).unwrap_or(std::cmp::Ordering::Equal));
        entries
    }

    fn draw_spend(&self, frame: &mut Frame<'_>, area: Rect) {
        let rows = self.entries().into_iter().map(|(name, sums)| {
            Row::new([
                Line::raw(name.to_owned()),
                Line::raw(money(number(sums, "/cost_usd"))).right_aligned(),
                Line::raw(whole(sums, "/requests")).right_aligned(),
            ])
        });
        let by = self.book.words().1;
        let widths = [Constraint::Min(16), Constraint::Length(11), Constraint::Length(9)];
        let table = Table::new(rows, widths).header(header([by, "cost", "requests"], 1)).block(block("spend"));
        frame.render_widget(table, area);
    }

    fn draw_requests(&self, frame: &mut Frame<'_>, area: Rect) {
        let shown = self.seen.requests.iter().filter(|one| !self.only_bad || text(one, "/outcome") != "ok");
        let rows = shown.skip(self.scroll).take(usize::from(area.height)).map(|one| {
            let outcome = text(one, "/outcome");
            let colour = match outcome.as_str() {
                "ok" => Color::Green,
                "refused" | "caller_left" => Color::Yellow,
                _ => Color::Red,
            };
            let (rule, attempts) =
                (text(one, "/rule"), one.get("attempts").and_then(Value::as_array).map_or(0, Vec::len));
            let why = if rule.is_empty() { text(one, "/route") } else { format!("rule {rule}") };
            let target = text(one, "/target");
            let target = if attempts > 1 { format!("{target} (try {attempts})") } else { target };
            let tokens = one.get("usage").or_else(|| one.get("usage_estimated"));
            let tokens =
                tokens.map_or(String::new(), |usage| format!("{}/{}", whole(usage, "/input"), whole(usage, "/output")));
            let time = text(one, "/time");
            Row::new([
                Line::styled(time.get(11..19).unwrap_or_default().to_owned(), quiet()),
                Line::from(Span::styled(
                    format!("{} {}", text(one, "/status"), outcome.replace('_', " ")),
                    Style::new().fg(colour),
                )),
                Line::raw(text(one, "/model")),
                Line::raw(target),
                Line::raw(why),
                Line::raw(tokens).right_aligned(),
                Line::raw(money(number(one, "/cost_usd"))).right_aligned(),
                Line::raw(millis(number(one, "/first_ms"))).right_aligned(),
                Line::raw(millis(number(one, "/total_ms"))).right_aligned(),
            ])
        });
        let widths = [
            Constraint::Length(8),
            Constraint::Length(15),
            Constraint::Fill(2),
            Constraint::Fill(3),
            Constraint::Fill(2),
            Constraint::Length(12),
            Constraint::Length(9),
            Constraint::Length(8),
            Constraint::Length(8),
        ];
        let names = ["at (UTC)", "outcome", "asked for", "served by", "why", "tokens", "cost", "first", "total"];
        let table = Table::new(rows, widths).header(header(names, 5)).block(block("requests"));
        frame.render_widget(table, area);
    }
}

fn quiet() -> Style {
    Style::new().fg(Color::DarkGray)
}

fn block(title: &str) -> Block<'_> {
    Block::new().borders(Borders::TOP).title(format!(" {title} ")).border_style(quiet())
}

/// Names of columns; those from `right` on stand at the right.
fn header<const N: usize>(names: [&str; N], right: usize) -> Row<'_> {
    let cells = names.into_iter().enumerate().map(|(at, name)| {
        let line = Line::styled(name, quiet());
        if at < right { line } else { line.right_aligned() }
    });
    Row::new(cells)
}

fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

fn number(value: &Value, pointer: &str) -> Option<f64> {
    value.pointer(pointer).and_then(Value::as_f64)
}

fn whole(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0).to_string()
}

fn money(usd: Option<f64>) -> String {
    match usd {
        None => String::new(),
        Some(usd) if usd == 0.0 || usd >= 1.0 => format!("${usd:.2}"),
        Some(usd) => format!("${usd:.6}"),
    }
}

fn millis(ms: Option<f64>) -> String {
    match ms {
        None => String::new(),
        Some(ms) if ms < 1_000.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.1} s", ms / 1_000.0),
    }
}
