// JupyterLab loses a cell that is run before its kernel is connected: what it showed goes, and nothing else happens. Here it waits.
(window._JUPYTERLAB ??= {}).palimpsest = {
	init() {},
	get: async () => () => ({
		id: "palimpsest:wait-for-kernel",
		autoStart: true,
		activate(app) {
			const execute = app.commands.execute.bind(app.commands);
			const connected = async context => {
				await context.ready;
				await context.session?.kernel?.info;
			};
			const patience = () => new Promise(done => setTimeout(done, 60000)); // then JupyterLab may do as it does
			app.commands.execute = async (id, args) => {
				const context = app.shell.currentWidget?.sessionContext;
				const kernel = context?.session?.kernel;
				if (/^notebook:run-/.test(id) && context && (!context.isReady || kernel && kernel.connectionStatus !== "connected")) {
					await Promise.race([connected(context), patience()]);
				}
				return execute(id, args);
			};
		},
	}),
};
