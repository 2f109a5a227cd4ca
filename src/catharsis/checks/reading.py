"""What can be wrong before any number is looked at: files, keys, words, and the plan. Met where files are read."""

from __future__ import annotations

from catharsis.checks.rules import Grade, Rule

_FILE = "nothing can be read from it, or kept in it"
_WORD = "a word that nobody agreed on would be lost, or become a group of its own"
_PLAN = "the synthesis could not be formed"
_LIBRARY = "every row must name the paper it came from, and the report cites it"
_SHEET = "what cannot be read without guessing would come in wrong"

# name: what it finds, why it matters, what to do
_SAID: dict[str, tuple[str, str, str]] = {
    "input": ("an input that cannot be used", "nothing can be computed from it", "follow the message"),
    "more": ("more problems than a message can show", "they often have one cause", "mend those shown first"),
    # files
    "unreadable-file": (
        "a file that is missing, is too large, is not UTF-8, or may not be read",
        _FILE,
        "save the file as UTF-8 where analysis.yaml says it is",
    ),
    "unwritable-file": ("a file that cannot be written", _FILE, "check the folder, its permissions and the disk"),
    "locked-file": ("a file that another process is changing", "two writers at once would lose one change", "wait"),
    "cannot-edit": (
        "a change that cannot be made without touching something else (an alias, an unknown way of writing)",
        "everything but the change must stay as it was typed",
        "make this change by hand",
    ),
    "schema-version": (
        "a file of another version than this catharsis reads, or that does not say what it is",
        "what its keys mean is not known here",
        "an older file: catharsis format; a newer one: install a newer catharsis",
    ),
    "no-study": ("a file without a study that could be added", "there is nothing to add", "check the file"),
    "answer": ("an answer at the terminal that cannot stand", "it could not be used", "answer again"),
    "yaml": (
        "text that is not YAML, or YAML that a table has no use for (tags, repeated keys, merge keys)",
        "the rest of the file could not be placed",
        "correct the line that the message names",
    ),
    # keys and values
    "unknown-key": ("a key that this place does not have", "a misspelt key would be lost without a word", "correct it"),
    "missing-key": ("an entry without a key that it needs", "every entry of this kind needs one", "add the line"),
    "wrong-value": ("a value of another kind than the key holds", "it could not be used", "write a value of that kind"),
    "number": ("text where a number belongs", "it could not be used", "write the digits only, with a decimal point"),
    "interval": ("an interval that is not a pair of numbers", "it could not be used", "write [lower, upper]"),
    "empty": ("a text without a letter", "a blank label names nothing", "write it, or delete the line"),
    "year": ("a year that is not one", "years order and identify reports", "write four digits, or delete the line"),
    "verdict": (
        "a verdict that is neither p < a, p > a nor n.s.",
        "the region that a verdict bounds must be known exactly",
        "write p < .05, p > .05 or n.s.; an exact p belongs under numbers:",
    ),
    # words of the dictionary
    "name": ("a name that cannot stand in an expression, or is taken", _WORD, "use letters, digits and underscores"),
    "words": ("two directions of an outcome with the same word", "signs could not be told apart", "use three words"),
    "range": ("a scale whose ends do not ascend", "no score would lie on it", "write [lowest, highest possible score]"),
    "family": ("an outcome of a family that is not declared", _WORD, "declare the family, or correct its name"),
    "higher-is": ("a direction that is no word of its family", _WORD, "use one of the family's words"),
    "missing-outcome": ("an effect without an outcome", "nobody knows what its numbers measure", "add outcome:"),
    "unknown-outcome": ("an outcome that analysis.yaml does not declare", _WORD, "correct it, or declare the outcome"),
    "unknown-level": ("a level of a factor that analysis.yaml does not declare", _WORD, "correct it, or declare it"),
    "unknown-sign": ("a sign that is no word of the outcome", _WORD, "use a word of the outcome or its family"),
    "kind": (
        "an effect called by a kind of evidence that its cells do not carry",
        "no kind of evidence is turned into another",
        "fill the cells of that kind, or delete the line kind:",
    ),
    "told-twice": ("a number that one effect states twice, differently", "only one can be used", "keep one of them"),
    # names that must be unique, people that must be counted once
    "duplicate-id": ("an id that stands twice", "results and claims refer to entries by their id", "give one another"),
    "sample-in-two-groups": (
        "one sample in two overlap groups",
        "one id means the same people, and people of two groups count as independent",
        "give both the same overlap_group:, or one of them an id of its own",
    ),
    "people-twice": (
        "a synthesis that pools two cuts of the same people",
        "these people would count twice and the interval would be too narrow",
        "narrow rows: in analysis.yaml to one partition",
    ),
    "mixed-contrast": ("a synthesis of different contrasts", "they do not estimate one quantity", "narrow rows:"),
    "mixed-measure": ("a synthesis of different measures", "they do not estimate one quantity", "choose a scale:"),
    "mixed-phase": ("partial evidence of different phases", "it does not bound one effect", "narrow partial:"),
    # the bibliography
    "unknown-cite": (
        "a citation key that the bibliography does not have",
        _LIBRARY,
        "correct it, or add the reference",
    ),
    "bibliography": ("a bibliography that is not where analysis.yaml says", _LIBRARY, "correct bibliography:"),
    "bib-file": ("a bibliography that cannot be read", _LIBRARY, "save it as UTF-8 where analysis.yaml says"),
    "bib-syntax": ("a .bib entry that cannot be read", _LIBRARY, "close every brace and quote, end fields with commas"),
    "bib-key": ("a .bib entry whose key is missing or cannot be cited", _LIBRARY, "give it a plain key"),
    "bib-macro": ("a .bib abbreviation that is not defined", _LIBRARY, "define it with @string, or write it out"),
    "bib-name": ("a list of authors that cannot be read", _LIBRARY, "write First Last and First Last"),
    "bib-crossref": ("a .bib entry that leans on one that is not there", _LIBRARY, "add the entry, or correct its key"),
    "bib-duplicate-key": ("two .bib entries with one key", "it would not be clear which is cited", "rename one"),
    "bib-duplicate-doi": (
        "two .bib entries with one DOI",
        "one paper would be two references",
        "link one to the other",
    ),
    "bib-duplicate-field": ("a .bib field that stands twice", "only one could be used", "keep one of them"),
    "bibliography-format": ("a file of references in no known format", _LIBRARY, "export BibTeX, RIS, PubMed or CSL"),
    "bibliography-title": ("a record without a title", "it can be neither cited nor found again", "complete it"),
    "ris-syntax": ("a .ris record that cannot be read", _LIBRARY, "begin with TY, end with ER, two spaces after tags"),
    "nbib-syntax": ("a PubMed record that cannot be read", _LIBRARY, "export it again with the format PubMed"),
    "csl-syntax": ("a CSL-JSON item that cannot be read", _LIBRARY, "export it again as CSL-JSON"),
    "bib-writing": ("a reference that a .bib file cannot hold", "it must be read back as it is", "correct the record"),
    "links-file": ("a duplicates.yaml that cannot be read", "it says which keys name one work", "mend the line"),
    "link-target": ("a link to a key that no entry has", "what cites it would find nothing", "correct it, or undo it"),
    # tables of others
    "ambiguous-cite": (
        "a row whose author and year fit several references",
        "which of them the numbers come from cannot be known",
        "add a column with the citation key",
    ),
    "import-column": ("a column that cannot be taken without guessing", _SHEET, "map it with --map COLUMN=NAME"),
    "import-number": ("a cell that is no plain number", "numbers are kept as printed", "write digits and a point"),
    "sheet": ("a table that cannot be read", _SHEET, "give a .csv or .xlsx file with one row for each effect"),
    "sheet-head": ("a heading that does not name every column once", _SHEET, "name the columns in the first row"),
    "sheet-row": ("a row with more cells than the heading", _SHEET, "quote texts with commas, or name the columns"),
    "sheet-blank-row": ("a blank row inside a table", "it may divide two tables", "delete it, or split the file"),
    "sheet-cell": ("a cell with a formula, an error or a hidden character", _SHEET, "paste values only"),
    "sheet-merged": ("merged cells", "a value that spans cells belongs to none of them", "unmerge them"),
    "usage": ("an option that does not say what it must", "it cannot be followed", "write it as the message shows"),
    # the plan
    "unknown": ("a column, outcome or word of the plan that does not exist", _PLAN, "correct the name"),
    "rows": ("a row expression that cannot be used", _PLAN, "compare columns with values: kind == 'estimate'"),
    "formula": ("a formula of moderators that cannot be used", _PLAN, "join columns of the table: ~ latitude + year"),
    "partial": ("partial evidence asked for where it cannot enter", _PLAN, "give it a synthesis of its own"),
    "method": ("a method that does not exist", _PLAN, "use one of those that the message names"),
    "prior": ("a prior that cannot be read or is not proper", "a prior is part of the model", "write normal(0, 1)"),
    "moved-input": ("an input that was changed during a run", "the results would belong to no version", "run again"),
    "looks-file": ("a record of looks that cannot be read", "it says how often the evidence was tested", "restore it"),
    "results-file": (
        "a results.json that is none",
        "it cannot be compared part by part",
        "write it with catharsis run",
    ),
    "revision": ("a file that a git revision does not hold", "there is nothing to compare", "choose another revision"),
    "version": ("something that is no version of an analysis", "it cannot be compared", "name a folder or a revision"),
    "reconcile": ("two readings that cannot be made one", "no value can be chosen for them", "follow the message"),
    "value": ("a block where one value belongs", "it could not be used", "write one value"),
    "unknown-rule": ("a rule that does not exist", "nothing can be said about it", "use a name that a message shows"),
}
# Two that warn: the run goes on without what they name.
_WARN: dict[str, tuple[str, str, str]] = {
    "idle-waiver": (
        "a waiver that waives nothing",
        "a waiver that outlives its finding would hide the next one",
        "delete it, or correct the rule that it names",
    ),
    "unknown-effect": ("a claim about an effect that is not in the table", "it is judged without it", "correct the id"),
}


def _rules(said: dict[str, tuple[str, str, str]], grade: Grade) -> tuple[Rule, ...]:
    return tuple(Rule(name, grade, *words) for name, words in said.items())


RULES: tuple[Rule, ...] = (*_rules(_SAID, "unreadable"), *_rules(_WARN, "loose"))
