"""Texts that broke some program on their way through files, spreadsheets and terminals."""

NASTY = (
    *("", " ", "00123", "1e5", "NA", "null", "None", "nan", "-0", "TRUE", "1/2", "2024-01-02", "+1 555 0100"),
    *("=1+1", "=cmd|' /C calc'!A0", "@SUM(1)", "-2+3", "+1", "\t=1", "\r=1", "＝1", '=HYPERLINK("http://x")'),  # noqa: RUF001
    *("a,b", "a;b", 'say "hi"', "'quoted", '"', '""', "a\nb", "a\r\nb", "a\rb", "\n", "trailing ", " leading"),
    *("tab\there", "bell\x07", "esc \x1b[31mred\x1b[0m", "\x01", "\x7f", "\ufeffmark", "zero\u200bwidth", "nb\u00a0sp"),
    *("Байкал", "и\u0306 NFD", "ё", "№ ½ ﬁ", "日本語", "👩\u200d👩\u200d👧", "🇷🇺", "e\u0301", "\u202eto the left"),
    *("a\u2028b", "a\u0085b", "<script>alert(1)</script>", "</td>", "{question}", "{{x}}", "%s %d %(x)s"),
    *("\\n \\u0041", "C:\\x\\y", "../../etc", "x" * 40_000, "Robert'); DROP TABLE x;--", "_x0041_", "#N/A"),
    *("\ufffe", "[1, 2]", '{"a": 1}', "<think>no</think>yes"),
)
