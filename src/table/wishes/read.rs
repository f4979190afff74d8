//! Wishes as they stand in a request.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{MEMBERS, Sort, Wishes};

/// Most names in one list.
const MOST: usize = 32;

/// OpenRouter's `provider`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Provider {
    order: Option<Vec<String>>,
    only: Option<Vec<String>>,
    ignore: Option<Vec<String>>,
    sort: Option<ProviderSort>,
    allow_fallbacks: Option<bool>,
    require_parameters: Option<bool>,
    max_price: Option<MaxPrice>,
}

/// In USD per million tokens.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct MaxPrice {
    prompt: Option<f64>,
    completion: Option<f64>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum ProviderSort {
    Price,
    Latency,
    Throughput,
}

/// `routing`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Routing {
    model: Option<RoutingModel>,
    provider: Option<RoutingProvider>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RoutingModel {
    fallbacks: Option<Vec<String>>,
    sort: Option<ModelSort>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RoutingProvider {
    fallbacks: Option<Vec<String>>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum ModelSort {
    Cost,
    Latency,
    Performance,
}

impl Wishes {
    /// Reads the wishes of a request; `member` gives the JSON of a top-level member.
    ///
    /// # Errors
    /// The member, and what is wrong with it, in words for the caller.
    pub fn read<'b>(member: impl Fn(&str) -> Option<&'b str>) -> Result<Wishes, (&'static str, String)> {
        let [models, provider, routing] = MEMBERS;
        let mut wishes = Wishes::default();
        let names: Option<Vec<String>> = of(models, &member)?;
        wishes.models = names.unwrap_or_default();
        let asked: Provider = of(provider, &member)?.unwrap_or_default();
        wishes.order = asked.order.unwrap_or_default();
        wishes.only = asked.only.unwrap_or_default();
        wishes.ignore = asked.ignore.unwrap_or_default();
        wishes.sort = asked.sort.map(|sort| match sort {
            ProviderSort::Price => Sort::Cost,
            ProviderSort::Latency => Sort::Latency,
            ProviderSort::Throughput => Sort::Performance,
        });
        wishes.allow_fallbacks = asked.allow_fallbacks;
        wishes.require_parameters = asked.require_parameters.unwrap_or_default();
        let most = asked.max_price.unwrap_or_default();
        (wishes.most_input, wishes.most_output) = (most.prompt, most.completion);
        let asked: Routing = of(routing, &member)?.unwrap_or_default();
        let model = asked.model.unwrap_or_default();
        wishes.models.extend(model.fallbacks.unwrap_or_default());
        wishes.sort_models = model.sort.map(|sort| match sort {
            ModelSort::Cost => Sort::Cost,
            ModelSort::Latency => Sort::Latency,
            ModelSort::Performance => Sort::Performance,
        });
        wishes.fallbacks = asked.provider.and_then(|provider| provider.fallbacks).unwrap_or_default();
        let lists = [
            (models, &wishes.models),
            (provider, &wishes.order),
            (provider, &wishes.only),
            (provider, &wishes.ignore),
            (routing, &wishes.fallbacks),
        ];
        match lists.iter().find(|(_, list)| list.len() > MOST) {
            Some((name, _)) => Err((name, format!("`{name}` holds a list of more than {MOST} names"))),
            None => Ok(wishes),
        }
    }
}

impl Wishes {
    /// Members that [`Wishes::read`] reads as these wishes, without what says nothing.
    pub fn to_json(&self) -> Value {
        let [models, provider, routing] = MEMBERS;
        let list = |names: &[String]| (!names.is_empty()).then(|| json!(names));
        let sort = self.sort.map(|sort| match sort {
            Sort::Cost => "price",
            Sort::Latency => "latency",
            Sort::Performance => "throughput",
        });
        let max_price =
            object([("prompt", self.most_input.map(Value::from)), ("completion", self.most_output.map(Value::from))]);
        let of_provider = object([
            ("order", list(&self.order)),
            ("only", list(&self.only)),
            ("ignore", list(&self.ignore)),
            ("sort", sort.map(Value::from)),
            ("allow_fallbacks", self.allow_fallbacks.map(Value::from)),
            ("require_parameters", self.require_parameters.then_some(Value::Bool(true))),
            ("max_price", max_price),
        ]);
        let of_routing = object([
            ("model", object([("sort", self.sort_models.map(|sort| sort.word().into()))])),
            ("provider", object([("fallbacks", list(&self.fallbacks))])),
        ]);
        object([(models, list(&self.models)), (provider, of_provider), (routing, of_routing)])
            .unwrap_or_else(|| Value::Object(Map::new()))
    }
}

/// The members that there are; `None` without any.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Option<Value> {
    let there: Map<String, Value> =
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    (!there.is_empty()).then_some(Value::Object(there))
}

/// The member's value; `null` is none.
fn of<'b, T: Deserialize<'b>>(
    name: &'static str,
    member: &impl Fn(&str) -> Option<&'b str>,
) -> Result<Option<T>, (&'static str, String)> {
    let Some(text) = member(name) else { return Ok(None) };
    serde_json::from_str(text).map_err(|error| {
        let error = error.to_string();
        let plain = error.split(" at line ").next().unwrap_or(&error);
        (name, format!("`{name}` cannot be read: {plain}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(members: &[(&str, &'static str)]) -> Result<Wishes, (&'static str, String)> {
        Wishes::read(|name| members.iter().find(|(known, _)| *known == name).map(|(_, text)| *text))
    }

    #[test]
    fn both_vendors_shapes_are_read() {
        let provider = r#"{"order":["a"],"ignore":["b"],"sort":"throughput","allow_fallbacks":false,"require_parameters":true,
            "max_price":{"prompt":1,"completion":2.5}}"#;
        let wishes = read(&[("models", r#"["x","y"]"#), ("provider", provider)]).unwrap();
        assert_eq!(
            (wishes.models, wishes.order, wishes.ignore),
            (vec!["x".into(), "y".into()], vec!["a".into()], vec!["b".into()])
        );
        assert_eq!(
            (wishes.sort, wishes.allow_fallbacks, wishes.most_output),
            (Some(Sort::Performance), Some(false), Some(2.5))
        );
        let routing = r#"{"model":{"fallbacks":["z"],"sort":"latency"},"provider":{"fallbacks":["c"]}}"#;
        let wishes = read(&[("routing", routing), ("models", "null")]).unwrap();
        assert_eq!((wishes.models, wishes.fallbacks), (vec!["z".to_owned()], vec!["c".to_owned()]));
        assert_eq!(wishes.sort_models, Some(Sort::Latency));
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let names = |name: &str| vec![name.to_owned(), "z".to_owned()];
        let all = Wishes {
            models: names("a"),
            order: names("b"),
            only: names("c"),
            ignore: names("d"),
            fallbacks: names("e"),
            sort: Some(Sort::Performance),
            sort_models: Some(Sort::Latency),
            allow_fallbacks: Some(false),
            require_parameters: true,
            most_input: Some(0.25),
            most_output: Some(3.0),
        };
        let (sort, sort_models) = (Some(Sort::Cost), Some(Sort::Cost));
        for wishes in [all, Wishes::default(), Wishes { sort, sort_models, ..Wishes::default() }] {
            let written = wishes.to_json();
            let members = written.as_object().unwrap();
            let texts: Vec<(&str, String)> = members.iter().map(|(name, value)| (&**name, value.to_string())).collect();
            let text = |name: &str| texts.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str());
            assert_eq!(Wishes::read(text), Ok(wishes), "{written}");
        }
    }

    #[test]
    fn what_is_not_known_is_told() {
        let (member, message) = read(&[("provider", r#"{"quantizations":["fp8"]}"#)]).unwrap_err();
        assert_eq!(member, "provider");
        assert!(
            message.starts_with("`provider` cannot be read: unknown field `quantizations`, expected one of"),
            "{message}"
        );
        assert_eq!(read(&[("models", r#""x""#)]).unwrap_err().0, "models");
        assert_eq!(
            read(&[("models", &*Box::leak(format!("[{}]", vec!["\"m\""; 33].join(",")).into_boxed_str()))])
                .unwrap_err()
                .0,
            "models"
        );
    }
}
