package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

const completionHelp = `Prints a script that completes commands, options and their values in a shell.

Usage:
  eventhubs completion bash|zsh|fish

For the current shell:
  source <(eventhubs completion bash)
  source <(eventhubs completion zsh)       # after: autoload -Uz compinit && compinit
  eventhubs completion fish | source

For every shell, put that line into ~/.bashrc or ~/.zshrc. For fish, put the script into
~/.config/fish/completions/eventhubs.fish.

Exit status: 0 done; 2 wrong command line.

Examples:
  eventhubs completion bash > /etc/bash_completion.d/eventhubs
`

// A completedOption is an option as a shell must know it.
type completedOption struct {
	Name    string
	Summary string
	Kind    string   // none, file, value, or choice
	Choices []string // of kind choice
}

// A completedCommand is a command as a shell must know it.
type completedCommand struct {
	Name    string
	Summary string
	Options []completedOption
	Words   []string // possible arguments besides options
	Files   bool     // arguments may be names of files
}

// optionLine matches an option in a help text: two spaces, --name or -n, maybe VALUE, then the text.
// The text is after at least two spaces, or on the next line. A test compares the matches with the
// flags.
var optionLine = regexp.MustCompile(`(?m)^  --?([a-z-]+)(?: (\S+))?\n? {2,}(\S[^\n]*)$`)

// completed finds the options of a command in its help text. So the help is the only list of
// options besides the flags themselves.
func (c *command) completed() completedCommand {
	out := completedCommand{Name: c.name, Summary: c.summary, Words: c.words, Files: c.files}
	for _, m := range optionLine.FindAllStringSubmatch(c.help, -1) {
		o := completedOption{Name: m[1], Summary: shellSafe(m[3]), Kind: "value"}
		switch value := m[2]; {
		case value == "":
			o.Kind = "none"
		case value == "FILE" || value == "DIR":
			o.Kind = "file"
		case strings.Contains(value, "|"):
			o.Kind, o.Choices = "choice", strings.Split(value, "|")
		case strings.Contains(m[3], "|"):
			first, _, _ := strings.Cut(m[3], " ")
			o.Kind, o.Choices = "choice", strings.Split(first, "|")
		}
		out.Options = append(out.Options, o)
	}
	out.Options = append(out.Options, completedOption{Name: "help", Summary: "explain the command", Kind: "none"})
	return out
}

// shellSafe returns a summary without characters that need quoting in a shell.
func shellSafe(text string) string {
	text, _, _ = strings.Cut(text, "; ")
	return strings.TrimRight(strings.NewReplacer("'", "", `"`, "", `\`, "", "$", "", "`", "", "[", "(", "]", ")", ":", "").Replace(text), ",. ")
}

func runCompletion(_ context.Context, p *process, args []string) error {
	flags := newFlagSet("completion")
	others, err := parseFlags(flags, args)
	if err != nil {
		return err
	}
	if len(others) != 1 || completionScripts[others[0]] == nil {
		return badInput("give one of the shells bash, zsh and fish")
	}
	return writeCompletion(p.stdout, others[0])
}

func writeCompletion(w io.Writer, shell string) error {
	var all []completedCommand
	for _, c := range commands() {
		all = append(all, c.completed())
	}
	all = append(all, completedCommand{Name: "help", Summary: "explain a command", Words: names(all)})
	return completionScripts[shell].Execute(w, all)
}

func names(all []completedCommand) []string {
	var list []string
	for _, c := range all {
		list = append(list, c.Name)
	}
	return list
}

// completionScripts never change.
var completionScripts = map[string]*template.Template{
	"bash": script("bash", bashScript),
	"zsh":  script("zsh", zshScript),
	"fish": script("fish", fishScript),
}

func script(name, text string) *template.Template {
	return template.Must(template.New(name).Funcs(template.FuncMap{
		"join":  strings.Join,
		"names": names,
		"options": func(options []completedOption, kind string) string {
			var list []string
			for _, o := range options {
				if kind == "" || o.Kind == kind {
					list = append(list, "--"+o.Name)
				}
			}
			return strings.Join(list, " ")
		},
		"pattern": func(options []completedOption, kind string) string {
			var list []string
			for _, o := range options {
				if o.Kind == kind {
					list = append(list, "--"+o.Name)
				}
			}
			slices.Sort(list)
			return strings.Join(list, "|")
		},
		"zsh": func(o completedOption) string {
			switch o.Kind {
			case "none":
				return fmt.Sprintf("'--%s[%s]'", o.Name, o.Summary)
			case "file":
				return fmt.Sprintf("'*--%s=[%s]:file:_files'", o.Name, o.Summary)
			case "choice":
				return fmt.Sprintf("'*--%s=[%s]:value:(%s)'", o.Name, o.Summary, strings.Join(o.Choices, " "))
			default:
				return fmt.Sprintf("'*--%s=[%s]:value:'", o.Name, o.Summary)
			}
		},
	}).Parse(text))
}

const bashScript = `# bash completion for eventhubs
_eventhubs() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words= files=
	COMPREPLY=()
	if [[ $current == = ]]; then # bash takes --name=value for three words
		current=
	elif [[ $previous == = ]]; then
		previous=${COMP_WORDS[COMP_CWORD-2]}
	fi
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W '{{join (names .) " "}} --help' -- "$current"))
		return
	fi
	case $command in
{{- range .}}
	{{.Name}})
{{- if .Options}}
		case $previous in
{{- with pattern .Options "file"}}
		{{.}}) compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")); return ;;
{{- end}}
{{- with pattern .Options "value"}}
		{{.}}) return ;;
{{- end}}
{{- range .Options}}{{if .Choices}}
		--{{.Name}}) COMPREPLY=($(compgen -W '{{join .Choices " "}}' -- "$current")); return ;;
{{- end}}{{end}}
		esac
{{- end}}
		words='{{options .Options ""}}{{with .Words}} {{join . " "}}{{end}}'
{{- if .Files}}
		files='{{with .Words}}{{join . " "}}{{end}}'; files=${files:- }
{{- end}}
		;;
{{- end}}
	*) return ;;
	esac
	if [[ $current == -* || -z $files ]]; then
		COMPREPLY=($(compgen -W "$words" -- "$current"))
	else
		compopt -o filenames
		COMPREPLY=($(compgen -W "$files" -- "$current") $(compgen -f -- "$current"))
	fi
}
complete -F _eventhubs eventhubs
`

const zshScript = `#compdef eventhubs
# zsh completion for eventhubs
_eventhubs() {
	local -a commands
	commands=(
{{- range .}}
		'{{.Name}}:{{.Summary}}'
{{- end}}
	)
	if ((CURRENT == 2)); then
		_describe command commands
		return
	fi
	local command=$words[2]
	shift words
	((CURRENT--))
	case $command in
{{- range .}}
	{{.Name}})
		_arguments{{range .Options}} \
			{{zsh .}}{{end}} \
			{{if and .Words .Files}}'1:word:{compadd {{join .Words " "}}; _files}' '*:file:_files'{{else if .Words}}'1:word:({{join .Words " "}})'{{else if .Files}}'*:file:_files'{{else}}'*:: :'{{end}}
		;;
{{- end}}
	esac
}
if [[ $funcstack[1] == _eventhubs ]]; then
	_eventhubs "$@"
else
	compdef _eventhubs eventhubs
fi
`

const fishScript = `# fish completion for eventhubs
complete -c eventhubs -f
{{- range .}}{{$command := .Name}}
complete -c eventhubs -n __fish_use_subcommand -a {{.Name}} -d '{{.Summary}}'
{{- range .Options}}
complete -c eventhubs -n '__fish_seen_subcommand_from {{$command}}' -l {{.Name}}{{if eq .Kind "file"}} -r -F{{else if eq .Kind "choice"}} -x -a '{{join .Choices " "}}'{{else if eq .Kind "value"}} -x{{end}} -d '{{.Summary}}'
{{- end}}
{{- with .Words}}
complete -c eventhubs -n '__fish_seen_subcommand_from {{$command}}' -a '{{join . " "}}'
{{- end}}
{{- if .Files}}
complete -c eventhubs -n '__fish_seen_subcommand_from {{$command}}' -F
{{- end}}
{{- end}}
`
