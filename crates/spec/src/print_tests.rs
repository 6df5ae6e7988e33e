use super::super::load::load;
use super::*;
use crate::node::Entry;
use proptest::prelude::*;

/// The tree without lines, and with words and quoted text told apart by meaning only.
fn meaning(node: &Node) -> Node {
    let value = match &node.value {
        Value::Plain(text) if matches!(word(text), Word::Text(_)) => Value::Text(text.clone()),
        Value::List(items) => Value::List(items.iter().map(meaning).collect()),
        Value::Map(entries) => Value::Map(
            entries.iter().map(|e| Entry { key: e.key.clone(), line: 0, node: meaning(&e.node) }).collect(),
        ),
        other => other.clone(),
    };
    value.into()
}

fn tree() -> impl Strategy<Value = Node> {
    let text = prop_oneof!["[ -~]{0,12}", "\\PC{0,6}", any::<String>(), Just("- x: 1".to_owned())];
    let leaf = prop_oneof![
        text.clone().prop_map(|t| Node::from(t.as_str())),
        any::<bool>().prop_map(Node::from),
        any::<u64>().prop_map(Node::from),
        (-1e9_f64..1e9).prop_map(Node::from),
    ];
    leaf.prop_recursive(4, 40, 8, move |inner| {
        let entry = (text.clone(), inner.clone()).prop_map(|(key, node)| Entry { key, line: 0, node });
        prop_oneof![
            prop::collection::vec(inner, 0..8).prop_map(|items| Value::List(items).into()),
            prop::collection::vec(entry, 0..8).prop_map(|entries| Value::Map(entries).into()),
        ]
    })
}

proptest! {
    #[test]
    fn printed_trees_read_back(tree in tree()) {
        let text = to_yaml(&tree);
        prop_assert_eq!(meaning(&load(&text).unwrap()), meaning(&tree), "{}", text);
    }
}

#[test]
fn short_parts_stay_on_one_line() {
    let long: Vec<&str> = vec!["a/long/path/of/some/image.png"; 4];
    let part = || Node::map([("size", Some(Node::list([2_u32, 3]))), ("none", None)]);
    let tree = Node::map([
        ("part", Some(part())),
        ("number-like", Some("007".into())),
        ("long", Some(Node::list(long))),
        (
            "maps",
            Some(Node::list([Node::map([
                ("x", Some(part())),
                ("y", Some("-".repeat(100).as_str().into())),
            ])])),
        ),
    ]);
    let want = format!(
        "part: {{size: [2, 3]}}\nnumber-like: \"007\"\nlong:\n{}maps:\n  - x: {{size: [2, 3]}}\n    y: \"{}\"\n",
        "  - a/long/path/of/some/image.png\n".repeat(4),
        "-".repeat(100)
    );
    assert_eq!(to_yaml(&tree), want);
}
