# The workflow is in workflow/Snakefile. An included file sets no default target, so it is named here.
include: "workflow/Snakefile"


workflow.default_target = "all"
