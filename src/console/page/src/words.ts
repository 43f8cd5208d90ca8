// The page's words in English and Brazilian Portuguese, chosen from what the browser asks for.

const en = {
  cluster: 'Cluster', restore: 'Restore', repository: 'Repository', acts: 'Actions',
  lost: 'The connection to pgrevive is lost; trying again.', loading: 'Loading',
  well: 'All is well', problems: 'Problems', remedy: 'What to do',
  skip: 'Skip to content', sections: 'Sections',
  primary: 'primary', replica: 'replica', recovering: 'recovering',
  accepting: 'accepting connections', starting: 'starting', down: 'down', 'not restored': 'not restored',
  restoring: 'restoring', stopped: 'stopped', preparing: 'preparing', promoting: 'promoting',
  configuring: 'configuring', joining: 'joining replicas', reindexing: 'reindexing', running: 'running',
  stopping: 'stopping', failed: 'failed',
  off: 'off', latest: 'latest', archivingUnknown: 'not known: the primary does not answer', streaming: 'streaming', disconnected: 'disconnected', catchup: 'catching up',
  state: 'State', port: 'Port', timeline: 'Timeline', lsn: 'LSN', lag: 'Lag', connections: 'Connections',
  disk: 'Disk free', diskOf: '{free} of {total}', data: 'Data', uptime: 'Up for', version: 'Version',
  archiving: 'Archiving', archive: 'Archive', lagOverTime: 'Replication lag over time',
  lagNow: 'Lag of {node}: {lag}', noReplicas: 'There are no replicas.', seconds: 'seconds',
  phases: 'Phases', files: 'Files', bytes: 'Bytes', rate: 'Rate now', average: 'Average', left: 'Time left',
  fetched: 'Fetched', requests: 'Requests', retries: 'Retries', backup: 'Backup', segments: 'WAL segments',
  of: '{done} of {total}', noRestore: 'No restore is under way.', progress: 'Progress',
  lastRestores: 'The last restores', outcome: 'Outcome', when: 'When', duration: 'Duration', size: 'Size',
  done: 'done', never: 'None yet.', log: 'Log of the restore', recoveryEnd: 'Recovery ended at {lsn} on timeline {timeline} (target: {target})',
  notRead: 'The repository is read once the cluster is up.', readAt: 'Read {time}', readAgain: 'Read again', window: 'Recoverable from {from} to {to} at least',
  noWindow: 'Nothing can be recovered from this repository.', label: 'Label', type: 'Type', reaches: 'Reaches',
  full: 'full', diff: 'differential', incr: 'incremental', gap: 'gap: {segments} segments from {first} to {last}',
  gaps: 'WAL gaps', noGaps: 'none', timelineOf: 'Backups and WAL over time', missing: 'needs {segment}, which is missing',
  choose: 'Recover to a point in time', moment: 'Moment (your time zone)', slide: 'Moment on the timeline', preview: 'Preview',
  previewing: 'Asking the repository', reachable: 'The archive holds this moment.',
  unreachable: 'This moment cannot be reached.', unsure: 'Whether the archive holds it is known only after replay.',
  fetch: 'To fetch', write: 'To write', writeOf: '{nodes} × {size}; {free} free', time: 'Time', about: 'about {time}', wal: 'WAL', nothingToRestore: 'Nothing would be restored.',
  token: 'Token', tokenHelp: 'prints it. It is kept until this tab is closed.',
  test: 'Test', start: 'Start', stop: 'Stop', restart: 'Restart', workingOn: 'Working: {act}', actDone: '{act}: done',
  actFailed: '{act}: {message}', noAnswer: 'no answer came, and nothing runs; see the log of the supervisor', sureStop: 'Stop all servers of {cluster}?', sureRestart: 'Stop all servers of {cluster} and start them again?',
  yes: 'Yes', no: 'No', passed: 'passed', not_applicable: 'does not apply',
  logs: 'Logs', follow: 'Follow', search: 'Search', range: 'Range', quarter: '15 minutes', day: '24 hours', whichLog: 'Log', noLines: 'No lines.', workers: 'Workers', worker: 'Worker', doing: 'File', waiting: 'waiting',
  more: 'and {count} more', throttled: 'Throttled', retriesAndThrottled: '{retries}, {throttled} throttled', interrupted: 'interrupted',
  lastTime: 'last time {time}', leftOf: '{time} left', node: 'Node', rebuild: 'Rebuild', switchover: 'Switch over', 'restart-node': 'Restart',
  sureRestartNode: 'Restart the server of {node}? Its connections end.', sureSwitchover: 'Let {node} and the primary change places? All connections end; nothing that was committed is lost.',
  sureRebuild: 'This throws the data of {node} away and makes it anew, from the backup or from the primary.', sureAnew: 'This throws all data of {cluster} away and makes it anew as of {target}.',
  typeName: 'Type {cluster} to go on', cancel: 'Cancel', anew: 'Throw {cluster} away and restore to this moment', copy: 'Copy', copied: 'Copied', command: 'Command', needToken: 'Give the token under Actions first.',
  builtOn: 'Builds on', stored: 'Stored', walRange: 'WAL archive', walFromTo: '{first} – {last}', encrypted: 'encrypted', errorsInPages: 'page checksum errors', wholeCluster: 'Whole cluster',
  legendFull: 'full', legendDiff: 'differential', legendIncr: 'incremental', legendWal: 'recoverable', legendGap: 'gap', legendChosen: 'chosen moment',
  asked: '{act} of {node}: {state}', working: 'under way', adminer: 'Adminer', lastArchived: '{count} segments, the last {time} ago', failures: '{count} failures', restored: 'As it was left by the last restore',
  p_failed: '', p_stopped: '', p_node_down: '', p_not_primary: '', p_promoted: '', p_not_streaming: '', p_lag: '', p_disk: '', p_archiving: '', p_adminer: '', p_collations: '',
};

export type Word = keyof typeof en;

const pt: Record<Word, string> = {
  cluster: 'Cluster', restore: 'Restauração', repository: 'Repositório', acts: 'Ações',
  lost: 'A conexão com o pgrevive caiu; tentando de novo.', loading: 'Carregando',
  well: 'Tudo vai bem', problems: 'Problemas', remedy: 'O que fazer',
  skip: 'Ir para o conteúdo', sections: 'Seções',
  primary: 'primário', replica: 'réplica', recovering: 'em recuperação',
  accepting: 'aceita conexões', starting: 'iniciando', down: 'parado', 'not restored': 'não restaurado',
  restoring: 'restaurando', stopped: 'parado', preparing: 'preparando', promoting: 'promovendo',
  configuring: 'configurando', joining: 'conectando réplicas', reindexing: 'reindexando', running: 'no ar',
  stopping: 'parando', failed: 'falhou',
  off: 'desligado', latest: 'o mais recente', archivingUnknown: 'não se sabe: o primário não responde', streaming: 'recebendo', disconnected: 'desconectada', catchup: 'alcançando',
  state: 'Estado', port: 'Porta', timeline: 'Timeline', lsn: 'LSN', lag: 'Atraso', connections: 'Conexões',
  disk: 'Disco livre', diskOf: '{free} de {total}', data: 'Dados', uptime: 'No ar há', version: 'Versão',
  archiving: 'Arquivamento', archive: 'Arquivo', lagOverTime: 'Atraso da replicação ao longo do tempo',
  lagNow: 'Atraso de {node}: {lag}', noReplicas: 'Não há réplicas.', seconds: 'segundos',
  phases: 'Fases', files: 'Arquivos', bytes: 'Bytes', rate: 'Taxa agora', average: 'Média', left: 'Tempo restante',
  fetched: 'Baixado', requests: 'Requisições', retries: 'Repetições', backup: 'Backup', segments: 'Segmentos de WAL',
  of: '{done} de {total}', noRestore: 'Nenhuma restauração em andamento.', progress: 'Progresso',
  lastRestores: 'As últimas restaurações', outcome: 'Resultado', when: 'Quando', duration: 'Duração', size: 'Tamanho',
  done: 'concluída', never: 'Nenhuma ainda.', log: 'Log da restauração', recoveryEnd: 'A recuperação terminou em {lsn} na timeline {timeline} (alvo: {target})',
  notRead: 'O repositório é lido quando o cluster estiver no ar.', readAt: 'Lido {time}', readAgain: 'Ler de novo', window: 'Recuperável de {from} até pelo menos {to}',
  noWindow: 'Nada pode ser recuperado deste repositório.', label: 'Rótulo', type: 'Tipo', reaches: 'Alcança',
  full: 'completo', diff: 'diferencial', incr: 'incremental', gap: 'lacuna: {segments} segmentos de {first} a {last}',
  gaps: 'Lacunas', noGaps: 'nenhuma', timelineOf: 'Backups e WAL ao longo do tempo', missing: 'precisa de {segment}, que falta',
  choose: 'Recuperar até um momento', moment: 'Momento (no seu fuso)', slide: 'Momento na linha do tempo', preview: 'Prever',
  previewing: 'Consultando o repositório', reachable: 'O arquivo contém esse momento.',
  unreachable: 'Esse momento não pode ser alcançado.', unsure: 'Só depois do replay se sabe se o arquivo o contém.',
  fetch: 'A baixar', write: 'A gravar', writeOf: '{nodes} × {size}; {free} livres', time: 'Tempo', about: 'cerca de {time}', wal: 'WAL', nothingToRestore: 'Nada seria restaurado.',
  token: 'Token', tokenHelp: 'o mostra. Fica guardado até esta aba ser fechada.',
  test: 'Testar', start: 'Iniciar', stop: 'Parar', restart: 'Reiniciar', workingOn: 'Em andamento: {act}', actDone: '{act}: concluído',
  actFailed: '{act}: {message}', noAnswer: 'não houve resposta, e nada roda; veja o log do supervisor', sureStop: 'Parar todos os servidores de {cluster}?', sureRestart: 'Parar todos os servidores de {cluster} e iniciá-los de novo?',
  yes: 'Sim', no: 'Não', passed: 'passou', not_applicable: 'não se aplica',
  logs: 'Logs', follow: 'Acompanhar', search: 'Buscar', range: 'Período', quarter: '15 minutos', day: '24 horas', whichLog: 'Log', noLines: 'Nenhuma linha.', workers: 'Workers', worker: 'Worker', doing: 'Arquivo', waiting: 'em espera',
  more: 'e mais {count}', throttled: 'Limitadas', retriesAndThrottled: '{retries}, {throttled} por limite do servidor', interrupted: 'interrompida',
  lastTime: 'da última vez {time}', leftOf: 'faltam {time}', node: 'Nó', rebuild: 'Refazer', switchover: 'Trocar de papel', 'restart-node': 'Reiniciar',
  sureRestartNode: 'Reiniciar o servidor de {node}? As conexões dele terminam.', sureSwitchover: 'Trocar {node} e o primário de lugar? Todas as conexões terminam; nada que foi confirmado se perde.',
  sureRebuild: 'Isto joga fora os dados de {node} e a refaz, do backup ou do primário.', sureAnew: 'Isto joga fora todos os dados de {cluster} e o refaz como era em {target}.',
  typeName: 'Digite {cluster} para continuar', cancel: 'Cancelar', anew: 'Jogar {cluster} fora e restaurar até este momento', copy: 'Copiar', copied: 'Copiado', command: 'Comando', needToken: 'Informe antes o token em Ações.',
  builtOn: 'Baseia-se em', stored: 'Armazenado', walRange: 'Arquivo de WAL', walFromTo: '{first} – {last}', encrypted: 'cifrado', errorsInPages: 'erros de checksum de página', wholeCluster: 'Cluster inteiro',
  legendFull: 'completo', legendDiff: 'diferencial', legendIncr: 'incremental', legendWal: 'recuperável', legendGap: 'lacuna', legendChosen: 'momento escolhido',
  asked: '{act} de {node}: {state}', working: 'em andamento', adminer: 'Adminer', lastArchived: '{count} segmentos, o último há {time}', failures: '{count} falhas', restored: 'Como a última restauração o deixou',
  p_failed: 'Veja a causa e depois inicie: continua de onde parou.',
  p_stopped: 'O cluster não está no ar e ninguém cuida dele. `start` o sobe.',
  p_node_down: '{subject} não aceita conexões. Veja `logs {subject}`.',
  p_not_primary: 'O primário ainda está em recuperação. Veja `logs primary`.',
  p_promoted: '{subject} foi promovida e não é mais réplica. Se ninguém precisa do que nela foi gravado: pare, remova o diretório dela, inicie.',
  p_not_streaming: '{subject} não recebe do primário. Veja `logs {subject}`.',
  p_lag: '{subject} está atrasada. Uma consulta longa nela, um disco ou uma rede lentos podem ser a causa.',
  p_disk: 'Pouco espaço livre no disco de {subject}. Libere espaço: o PostgreSQL para com o disco cheio.',
  p_archiving: 'O WAL não é arquivado. Veja em `logs primary` o que o pgBackRest diz; o disco do primário enche enquanto isso.',
  p_adminer: 'O Adminer não responde. Ele é reiniciado sozinho; adminer.log diz por que termina.',
  p_collations: 'Há índices feitos com outra versão de uma collation, e consultas podem perder linhas. `start --reindex` reconstrói exatamente esses.',
};

const wanted = navigator.languages.find((language) => /^(pt|en)\b/i.test(language)) ?? 'en';
export const language = /^pt/i.test(wanted) ? 'pt-BR' : 'en';
const words: Record<Word, string> = language === 'en' ? en : pt;

export function t(word: Word, values: Record<string, string | number> = {}): string {
  return (words[word] ?? word).replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

// What the servers and the supervisor call their states; as they call it where we have no word.
export function named(text: string): string {
  return text in words ? words[text as Word] : text;
}
