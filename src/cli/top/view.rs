//! The picture: what is seen, laid out.

use std::collections::BTreeMap;

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
    /// Why nothing newer is seen.
    pub(super) away: Option<String>,
    pub(super) paused: bool,
    pub(super) only_bad: bool,
    pub(super) book: Book,
    /// Requests that are scrolled past.
    pub(super) scroll: usize,
}

/// How much there is room for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Room {
    /// What was asked for and what came of it.
    Narrow,
    /// With the reason and the cost.
    Usual,
    /// Everything.
    Wide,
}

impl Room {
    fn of(width: u16) -> Room {
        match width {
            0..=69 => Room::Narrow,
            70..=109 => Room::Usual,
            _ => Room::Wide,
        }
    }
}

impl View {
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let room = Room::of(area.width);
        let head = self.head(area.width);
        let [above, middle, requests, keys] = Layout::vertical([
            Constraint::Length(head.len() as u16),
            Constraint::Length(self.middle_lines(area.height.saturating_sub(head.len() as u16 + 1), room)),
            Constraint::Min(3),
            Constraint::Length(1),
        ])
        .areas(area);
        frame.render_widget(Paragraph::new(head), above);
        if room == Room::Narrow {
            self.draw_targets(frame, middle, room);
        } else {
            let halves = Layout::horizontal([Constraint::Percentage(58), Constraint::Percentage(42)]).spacing(2);
            let [targets, spend] = halves.areas(middle);
            self.draw_targets(frame, targets, room);
            self.draw_spend(frame, spend);
        }
        self.draw_requests(frame, requests, room);
        frame.render_widget(Paragraph::new(self.keys(room)).style(quiet()), keys);
    }

    /// Lines of targets and spend: what they need, and no more than half of what there is.
    fn middle_lines(&self, lines: u16, room: Room) -> u16 {
        let entries = if room == Room::Narrow { 0 } else { self.entries().len() };
        let needed = self.seen.targets.len().max(entries).max(1);
        u16::try_from(needed).unwrap_or(u16::MAX).saturating_add(2).min((lines / 2).max(3)).min(14)
    }

    fn keys(&self, room: Room) -> String {
        let pause = if self.paused { "p go on" } else { "p pause" };
        let bad = if self.only_bad { "f all" } else { "f only not ok" };
        let by = self.book.next().words().1;
        match room {
            Room::Narrow => format!(" q end  {pause}  {bad}  \u{2191}\u{2193} scroll"),
            Room::Usual | Room::Wide => {
                format!(" q end   {pause}   {bad}   b spend by {by}   \u{2191}\u{2193} scroll")
            }
        }
    }

    /// Who is watched, and the sums; what is wrong. What matters most comes first, as a narrow terminal cuts the end off.
    fn head(&self, width: u16) -> Vec<Line<'static>> {
        let status = &self.seen.status;
        let total = self.seen.spend.get("total").unwrap_or(&Value::Null);
        let config = text(status, "/config");
        let config = if config.is_empty() { "no file".to_owned() } else { config };
        let first = format!(
            "{}routeplane {}  {}  generation {}  {}",
            if self.paused { "PAUSED  " } else { "" },
            text(status, "/version"),
            text(status, "/listen"),
            text(status, "/active/generation"),
            ending(&config, usize::from(width).saturating_sub(56)),
        );
        let sums = format!(
            "{} requests, {} refused or failed, {} spent, {} tokens in, {} out",
            whole(total, "/requests"),
            whole(total, "/failed"),
            money(number(total, "/cost_usd")),
            whole(total, "/input_tokens"),
            whole(total, "/output_tokens"),
        );
        let mut lines = vec![Line::styled(first, Style::new().add_modifier(Modifier::BOLD)), Line::raw(sums)];
        let mut wrong = |text: String| lines.push(Line::styled(text, Style::new().fg(Color::Red)));
        if status.pointer("/drift") == Some(&Value::Bool(true)) {
            wrong("the file was refused, the last good one is live: see `routeplane status`".to_owned());
        }
        if let Some(problem) = &self.away {
            wrong(format!("{problem}; it is asked again every second"));
        }
        lines
    }

    fn draw_targets(&self, frame: &mut Frame<'_>, area: Rect, room: Room) {
        let tries = measured(&self.seen.requests);
        let mut targets: Vec<&Value> = self.seen.targets.iter().collect();
        targets.sort_by_cached_key(|target| (text(target, "/condition") == "up", text(target, "/target")));
        let rows = targets.iter().map(|target| {
            let condition = text(target, "/condition");
            let colour = if condition == "up" { Color::Green } else { Color::Red };
            let name = text(target, "/target");
            let seen = tries.get(name.as_str());
            let failed = seen.map_or(0, |seen| seen.failed);
            let failed =
                Line::styled(failed.to_string(), if failed > 0 { Style::new().fg(Color::Red) } else { quiet() });
            let mut cells = vec![
                Line::raw(name.clone()),
                Line::styled(condition, Style::new().fg(colour)),
                Line::raw(whole(target, "/in_flight")).right_aligned(),
                failed.right_aligned(),
                Line::raw(millis(seen.and_then(|seen| median(&seen.first)))).right_aligned(),
            ];
            if room == Room::Wide {
                cells.push(Line::raw(millis(seen.and_then(|seen| median(&seen.whole)))).right_aligned());
            }
            Row::new(cells)
        });
        let mut columns = vec![("target", Constraint::Fill(1)), ("", Constraint::Length(7))];
        columns
            .extend([("busy", 4), ("failed", 6), ("first", 6)].map(|(name, width)| (name, Constraint::Length(width))));
        if room == Room::Wide {
            columns.push(("whole", Constraint::Length(6)));
        }
        let shown = usize::from(area.height.saturating_sub(2));
        let title = some_of("targets", targets.len(), shown);
        frame.render_widget(table(rows, &columns, 2, &title), area);
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
        let entries = self.entries();
        let rows = entries.iter().map(|(name, sums)| {
            Row::new([
                Line::raw((*name).to_owned()),
                Line::raw(money(number(sums, "/cost_usd"))).right_aligned(),
                Line::raw(whole(sums, "/requests")).right_aligned(),
            ])
        });
        let by = self.book.words().1;
        let columns = [(by, Constraint::Fill(1)), ("cost", Constraint::Length(9)), ("calls", Constraint::Length(6))];
        let title = some_of("spend", entries.len(), usize::from(area.height.saturating_sub(2)));
        frame.render_widget(table(rows, &columns, 1, &title), area);
    }

    fn draw_requests(&self, frame: &mut Frame<'_>, area: Rect, room: Room) {
        let shown: Vec<&Value> =
            self.seen.requests.iter().filter(|one| !self.only_bad || text(one, "/outcome") != "ok").collect();
        let title = if self.only_bad { "requests that are not ok" } else { "requests" };
        if shown.is_empty() {
            let nothing = Paragraph::new("none yet").style(quiet()).block(block(title));
            frame.render_widget(nothing, area);
            return;
        }
        let rows = shown.iter().skip(self.scroll).take(usize::from(area.height)).map(|one| request(one, room));
        let fixed = |name, width| (name, Constraint::Length(width));
        let (time, outcome) = (fixed("at (UTC)", 8), fixed("outcome", 15));
        let (asked, served) = (("asked for", Constraint::Fill(2)), ("served by", Constraint::Fill(3)));
        let columns = match room {
            Room::Narrow => vec![time, outcome, served, fixed("total", 6)],
            Room::Usual => vec![time, outcome, asked, served, fixed("why", 7), fixed("cost", 9), fixed("total", 6)],
            Room::Wide => vec![
                time,
                outcome,
                asked,
                served,
                ("why", Constraint::Fill(1)),
                fixed("in/out", 11),
                fixed("cost", 9),
                fixed("first", 6),
                fixed("total", 6),
            ],
        };
        let right = columns.len()
            - match room {
                Room::Narrow => 1,
                Room::Usual => 2,
                Room::Wide => 4,
            };
        frame.render_widget(table(rows, &columns, right, title), area);
    }
}

/// One call as a row.
fn request(one: &Value, room: Room) -> Row<'static> {
    let outcome = text(one, "/outcome");
    let colour = match outcome.as_str() {
        "ok" => Color::Green,
        "refused" | "caller_left" => Color::Yellow,
        _ => Color::Red,
    };
    let (rule, route) = (text(one, "/rule"), text(one, "/route"));
    let chosen = room == Room::Wide && route.starts_with('@') && route != text(one, "/model");
    let why = match rule.as_str() {
        "" => route,
        rule if chosen => format!("rule {rule} {route}"),
        rule => format!("rule {rule}"),
    };
    let tokens = one.get("usage").or_else(|| one.get("usage_estimated"));
    let tokens =
        tokens.map_or(String::new(), |usage| format!("{}/{}", whole(usage, "/input"), whole(usage, "/output")));
    let mut cells = vec![
        Line::styled(text(one, "/time").get(11..19).unwrap_or_default().to_owned(), quiet()),
        Line::styled(format!("{} {}", text(one, "/status"), outcome.replace('_', " ")), Style::new().fg(colour)),
    ];
    if room == Room::Narrow {
        let target = served(one);
        cells.push(if target.width() == 0 { Line::raw(text(one, "/model")) } else { target });
    } else {
        cells.extend([Line::raw(text(one, "/model")), served(one), Line::raw(why)]);
        if room == Room::Wide {
            cells.push(Line::raw(tokens).right_aligned());
        }
        cells.push(Line::raw(money(number(one, "/cost_usd"))).right_aligned());
    }
    if room == Room::Wide {
        cells.push(Line::raw(millis(number(one, "/first_ms"))).right_aligned());
    }
    cells.push(Line::raw(millis(number(one, "/total_ms"))).right_aligned());
    Row::new(cells)
}

/// Who answered, and what happened before; of a refused call, why it was.
fn served(one: &Value) -> Line<'static> {
    if text(one, "/outcome") == "refused" {
        return Line::styled(text(one, "/error/code").replace('_', " "), quiet());
    }
    let attempts = one.get("attempts").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let outrun = attempts.iter().any(|tried| text(tried, "/cause") == "outrun");
    let note = match attempts.len() {
        _ if one.get("cached") == Some(&Value::Bool(true)) => " (cache)".to_owned(),
        _ if outrun => " (hedged)".to_owned(),
        0 | 1 => String::new(),
        tries => format!(" (try {tries})"),
    };
    Line::from(vec![Span::raw(text(one, "/target")), Span::styled(note, quiet())])
}

/// What the listed calls say of one target.
#[derive(Default)]
struct Measured {
    failed: usize,
    /// Milliseconds to the first content, and to the end, of tries that answered.
    first: Vec<f64>,
    whole: Vec<f64>,
}

fn measured(requests: &[Value]) -> BTreeMap<&str, Measured> {
    let mut targets: BTreeMap<&str, Measured> = BTreeMap::new();
    let asked = requests.iter().filter(|one| one.get("cached").is_none());
    for tried in asked.filter_map(|one| one.get("attempts").and_then(Value::as_array)).flatten() {
        let Some(target) = tried.get("target").and_then(Value::as_str) else { continue };
        let of = targets.entry(target).or_default();
        let since = |pointer| Some(number(tried, pointer)? - number(tried, "/start_ms")?);
        match text(tried, "/cause").as_str() {
            "ok" => {
                of.first.extend(since("/first_ms"));
                of.whole.extend(since("/end_ms"));
            }
            "outrun" | "caller_left" | "refused" | "rate_limited" => {}
            _ => of.failed += 1,
        }
    }
    targets
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

/// The last `most` characters, which name the file where the folder is long.
fn ending(path: &str, most: usize) -> String {
    let length = path.chars().count();
    if length <= most {
        return path.to_owned();
    }
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// `targets`, or `targets, 5 of 12`.
fn some_of(title: &str, all: usize, shown: usize) -> String {
    if shown < all { format!("{title}, {shown} of {all}") } else { title.to_owned() }
}

/// Rows under their names; columns from `right` on stand at the right.
fn table<'r>(
    rows: impl Iterator<Item = Row<'r>>,
    columns: &[(&'r str, Constraint)],
    right: usize,
    title: &str,
) -> Table<'r> {
    let names = columns.iter().enumerate().map(|(at, (name, _))| {
        let line = Line::styled(*name, quiet());
        if at < right { line } else { line.right_aligned() }
    });
    let widths = columns.iter().map(|(_, width)| *width);
    Table::new(rows, widths).header(Row::new(names.collect::<Vec<_>>())).block(block(title))
}

fn quiet() -> Style {
    Style::new().fg(Color::DarkGray)
}

fn block<'b>(title: &str) -> Block<'b> {
    Block::new().borders(Borders::TOP).title(format!(" {title} ")).border_style(quiet())
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
        Some(0.0) => "$0".to_owned(),
        Some(usd) if usd >= 1.0 => format!("${usd:.2}"),
        Some(usd) if usd >= 0.01 => format!("${usd:.4}"),
        Some(usd) => format!("${usd:.6}"),
    }
}

fn millis(ms: Option<f64>) -> String {
    match ms {
        None => String::new(),
        Some(ms) if ms < 1.0 => "<1 ms".to_owned(),
        Some(ms) if ms < 1_000.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.1} s", ms / 1_000.0),
    }
}
