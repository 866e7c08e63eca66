# The targets. A default target inside an included file is not seen, so `all` stands here.
include: "workflow/Snakefile"


rule all:
    default_target: True
    input:
        rules.report.output,
