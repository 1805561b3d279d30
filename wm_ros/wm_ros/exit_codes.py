"""Exit codes of node processes that whoever starts them acts on."""

EXIT_FAILED = 1
EXIT_CONFIG = 78  # sysexits.h EX_CONFIG: a sentence says what is wrong at start; another start would end the same
