// Starts `routeplane lsp` for files whose name has `routeplane` in it.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

exports.activate = () => {
  const command = workspace.getConfiguration("routeplane").get("path") || "routeplane";
  const documentSelector = [
    { scheme: "file", pattern: "**/*routeplane*.{yaml,yml}" },
    // Files that a configuration may name: what is open counts, before it is saved.
    { scheme: "file", language: "json" },
    { scheme: "file", language: "markdown" },
  ];
  client = new LanguageClient("routeplane", "Routeplane", { command, args: ["lsp"] }, { documentSelector });
  return client.start();
};

exports.deactivate = () => client && client.stop();
