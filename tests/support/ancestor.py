"""The configuration of mage-claude-orchestrator, the ancestor of this program."""

CONFIGURATION = """\
# Orchestrator configuration.
# See the README.

module_path: example.com/org/calc
binary_name: calc
binary_dir: bin
main_package: cmd/calc/main.go
go_source_dirs:
    - cmd/
    - pkg/
    - internal/
version_file: pkg/version/version.go
gen_prefix: generation-
beads_dir: .beads/
cobbler_dir: .cobbler/
magefiles_dir: magefiles
secrets_dir: .secrets
default_token_file: claude.json
spec_globs:
    prd: docs/specs/*.md
seed_files:
    pkg/version/version.go: templates/version.go.tmpl
measure_prompt: ""
stitch_prompt: ""
claude_args:
    - --dangerously-skip-permissions
    - -p
    - --verbose
    - --output-format
    - stream-json
silence_agent: true
max_issues: 10
cycles: 1
user_prompt: ""
generation_branch: ""
token_file: ""
estimated_lines_min: 250
estimated_lines_max: 350
cleanup_dirs: []
podman_image: localhost/claude
podman_args: []
"""
