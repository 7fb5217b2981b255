// Python in colours, while it is typed: the token classes are Pygments', so the page's own style sheet colours them.
const KEYWORDS =
  "False None True and as assert async await break case class continue def del elif else except finally for from global " +
  "if import in is lambda match nonlocal not or pass raise return try while with yield";
const BUILTINS =
  "abs all any bool bytes dict divmod enumerate filter float int isinstance len list map max min next print range repr " +
  "reversed round set slice sorted str sum super tuple type zip";

const KINDS = [
  ["c1", /#[^\n]*/],
  ["s", /(?:\b[rRbBfFuU]{1,2})?(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)/],
  ["m", /\b(?:0[xXbBoO][\da-fA-F_]+|\d[\d_]*\.?[\d_]*(?:[eE][+-]?\d+)?j?)/],
  ["nd", /^[ \t]*@[\w.]+/],
  ["k", new RegExp(`\\b(?:${KEYWORDS.replaceAll(" ", "|")})\\b`)],
  ["nb", new RegExp(`(?<!\\.)\\b(?:${BUILTINS.replaceAll(" ", "|")})\\b(?=\\()`)],
  ["o", /[-+*/%@&|^~<>=!]+/],
];
const TOKEN = new RegExp(KINDS.map(([, pattern]) => `(${pattern.source})`).join("|"), "gm");

// Puts the text into the element `place`, token by token.
export function highlight(place, text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    const kind = KINDS[match.slice(1).findIndex((part) => part !== undefined)][0];
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = match[0];
    parts.push(text.slice(end, match.index), span);
    end = match.index + match[0].length;
  }
  place.replaceChildren(...parts, text.slice(end));
}
