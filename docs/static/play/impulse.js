export function still() { return ""; }
