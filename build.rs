//! Embeds `presets/`: provider files as text, the model catalogue as a sorted table.
//!
//! Nothing of it is parsed at run time. A catalogue that is not sorted, has a duplicate or a malformed row stops the build.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=presets");
    let root = env::var("CARGO_MANIFEST_DIR")?;
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("presets.rs"), providers(&Path::new(&root).join("presets/providers"))?)?;
    let catalogue = fs::read_to_string(Path::new(&root).join("presets/models/catalogue.tsv"))?;
    fs::write(Path::new(&out).join("catalogue.rs"), models(&catalogue)?)?;
    let choices = fs::read_to_string(Path::new(&root).join("presets/models/choices.tsv"))?;
    fs::write(Path::new(&out).join("choices.rs"), choice_table(&choices, &catalogue)?)?;
    Ok(())
}

/// `&[("anthropic", include_str!(...)), ...]`, sorted by name.
fn providers(folder: &Path) -> Result<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let name = path.file_stem().and_then(|stem| stem.to_str()).ok_or("a provider file's name is not UTF-8")?;
            files.push((name.to_owned(), path.to_str().ok_or("the path is not UTF-8")?.to_owned()));
        }
    }
    files.sort();
    let mut code = String::from("&[\n");
    for (name, path) in &files {
        writeln!(code, "({name:?}, include_str!({path:?})),")?;
    }
    code.push_str("]\n");
    Ok(code)
}

/// `&[Model { ... }, ...]`, in the order of the file, which is checked.
fn models(text: &str) -> Result<String> {
    let mut code = String::from("&[\n");
    let mut before = ("", "");
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#')) {
        let row = row(line).map_err(|error| format!("presets/models/catalogue.tsv:{number}: {error}"))?;
        if row.key <= before {
            return Err(
                format!("presets/models/catalogue.tsv:{number}: not sorted by provider and id, or twice").into()
            );
        }
        before = row.key;
        code.push_str(&row.code);
    }
    code.push_str("]\n");
    Ok(code)
}

/// `&[Choice { ... }, ...]`; every id must be in the catalogue, where it knows the provider at all.
fn choice_table(text: &str, catalogue: &str) -> Result<String> {
    let rows = || catalogue.lines().filter_map(|line| line.split_once('\t'));
    let mut code = String::from("&[\n");
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [provider, capable, small] = columns.as_slice() else {
            return Err(format!("presets/models/choices.tsv:{number}: {} columns instead of 3", columns.len()).into());
        };
        for id in [capable, small] {
            let mut known = rows().filter(|(name, _)| name == provider).peekable();
            let chat = format!("{id}\tchat\t");
            if known.peek().is_some() && !known.any(|(_, rest)| rest.starts_with(&chat)) {
                return Err(
                    format!("presets/models/choices.tsv:{number}: `{provider}` has no chat model `{id}`").into()
                );
            }
        }
        writeln!(code, "Choice {{ provider: {provider:?}, capable: {capable:?}, small: {small:?} }},")?;
    }
    code.push_str("]\n");
    Ok(code)
}

struct Row<'t> {
    key: (&'t str, &'t str),
    code: String,
}

fn row(line: &str) -> Result<Row<'_>> {
    let columns: Vec<&str> = line.split('\t').collect();
    let [provider, id, mode, window, output, input_price, output_price, cache_read, cache_write, capabilities] =
        columns.as_slice()
    else {
        return Err(format!("{} columns instead of 10", columns.len()).into());
    };
    let mut code = String::new();
    writeln!(
        code,
        "Model {{ provider: {provider:?}, id: {id:?}, mode: {}, max_input_tokens: {}, max_output_tokens: {}, \
         prices: Prices {{ input: {}, output: {}, cache_read: {}, cache_write: {} }}, capabilities: {} }},",
        mode_variant(mode)?,
        tokens(window)?,
        tokens(output)?,
        price(input_price)?,
        price(output_price)?,
        price(cache_read)?,
        price(cache_write)?,
        capability_set(capabilities)?,
    )?;
    Ok(Row { key: (provider, id), code })
}

fn mode_variant(name: &str) -> Result<&'static str> {
    match name {
        "chat" => Ok("Mode::Chat"),
        "responses" => Ok("Mode::Responses"),
        "embedding" => Ok("Mode::Embedding"),
        "rerank" => Ok("Mode::Rerank"),
        "completion" => Ok("Mode::Completion"),
        other => Err(format!("unknown mode `{other}`").into()),
    }
}

fn tokens(text: &str) -> Result<String> {
    if text.is_empty() {
        return Ok("None".to_owned());
    }
    Ok(format!("Some({})", text.parse::<u32>().map_err(|_| format!("`{text}` is not a number of tokens"))?))
}

fn price(text: &str) -> Result<String> {
    if text.is_empty() {
        return Ok("None".to_owned());
    }
    let price: f64 = text.parse().map_err(|_| format!("`{text}` is not a price"))?;
    if !price.is_finite() || price < 0.0 {
        return Err(format!("`{text}` is not a price").into());
    }
    Ok(format!("Some({price:?}_f64)"))
}

/// Bits in the order of `Capability` in `src/provider/catalogue.rs`.
fn capability_set(text: &str) -> Result<String> {
    const NAMES: [&str; 9] = ["tools", "parallel", "images", "pdf", "audio", "schema", "cache", "reasoning", "web"];
    let mut bits = 0_u16;
    for name in text.split(',').filter(|name| !name.is_empty()) {
        let bit = NAMES.iter().position(|known| *known == name).ok_or(format!("unknown capability `{name}`"))?;
        bits |= 1 << bit;
    }
    Ok(format!("Capabilities({bits})"))
}
